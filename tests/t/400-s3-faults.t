# --blobs s3:// while S3 fails: keys that change, a server that hangs, is away, or sends other bytes. Nothing that was
# acknowledged is lost, nothing wrong is served, and all is well again by itself.
use v5.36;
use Registry limit => 400;
use Registry::Checks;
use Registry::V1 ();
use Registry::S3;
use Registry::Tools;
use File::Basename qw(dirname);
use Test::More;
use Time::HiRes qw(sleep);

skip_or_fail('the program was built without libcurl (Debian: libcurl4-openssl-dev)') if slurp(Registry->program) !~ /libcurl\.so/;

my $s3     = Registry::S3->start;
my $dir    = tempdir() . '/data';
my $cached = 1 << 20;                # half of --cache-size
my @QUICK  = ('--lease', '1s', '--gc-interval', '1s', '--history-keep', '0s', '--cache-size', '2M');
my $log    = qr/S3|upstream|an error|can't be|request failed|signal|process died|recovering|left in connection|aborting|has been collected/;

sub write_keys ($access, $secret) {
    spew("$dir/auth/s3-keys.new", "# of the test\naccess-key = $access\nsecret-key = $secret\n");
    chmod 0600, "$dir/auth/s3-keys.new";
    chown((getpwnam 'www-data')[ 2, 3 ], "$dir/auth/s3-keys.new") if is_root();
    rename "$dir/auth/s3-keys.new", "$dir/auth/s3-keys" or die $!;
    return;
}
mkdir $_, 0700 or die $! for $dir, "$dir/auth";
is_refused(Registry->try([ '--listen', '127.0.0.1', '--port', '0', '--dir', $dir, '--blobs', $s3->url ]), qr{needs keys: .*auth/s3-keys}, 'without keys');
write_keys('KEY', 'SECRET');
my $registry = Registry->start(dir => $dir, args => [ '--blobs', $s3->url, @QUICK ], expected => $log);

sub path_of ($bytes) { return '/v2/a/b/blobs/' . digest($bytes) }
sub push_image ($tag, $bytes) { return $registry->push_image('a/b', $tag, [$bytes]) }
sub push_one ($bytes) { return $registry->push_blob('a/b', $bytes) }
sub objects_of ($bytes) { my ($hex) = digest($bytes) =~ /:(.*)/; return $s3->objects('registry/sha256/' . substr($hex, 0, 2) . "/$hex.") }
sub ready () { return $registry->get('/readyz') }
sub is_ready () { return wait_for(60, sub { ready()->status == 200 }) }
sub cached () { return map { -s $_ } grep { -f } glob "$dir/cache/*.*" }
sub forget_copies () { run([ 'sh', '-c', "rm -rf $dir/cache/[0-9a-f]* $dir/cache/nginx/*" ]); return }

my $layer = Registry::V1::tar_of([ 'etc/motd', 'welcome' ]);
is_status($registry->push_image('a/b', 'v1', [$layer]), 201, 'an image');
ok(is_ready(), 'the server is ready');
is(ready()->json->{parts}{blobs}, 'ok', '... and tells of S3');
works(Registry->try([ 'check', '--port', '0', '--listen', '127.0.0.1', '--dir', $dir, '--blobs', $s3->url ]), 'check');

subtest 'keys that change' => sub {
    my $cold = random_bytes(300_000);
    is_status(push_image('cold', $cold), 201, 'a blob');
    $s3->change_keys('KEY2', 'SECRET2');
    my $refused = push_one(my $new = random_bytes(5000));
    is_error($refused, 503, 'UNAVAILABLE', 'a push with the old key');
    ok($refused->header('Retry-After'), '... may be repeated');
    my $pull = $registry->get(path_of($cold));
    is_error($pull, 503, 'UNAVAILABLE', 'so may a pull');
    ok($pull->header('Retry-After'), '... in any case');
    unlike($pull->content, qr/<|InvalidAccessKeyId/, '... and nothing of S3 is in the answer');
    ok(wait_for(60, sub { ready()->status == 503 }), 'the server is not ready');
    like(ready()->json->{parts}{blobs}, qr/403 InvalidAccessKeyId/, '... because of S3');
    my $check = Registry->try([ 'check', '--port', '0', '--listen', '127.0.0.1', '--dir', $dir, '--blobs', $s3->url ]);
    like($check->{err}, qr/blobs: .*403/, 'check says so, too');
    write_keys('KEY2', 'SECRET2');
    is_status(push_one($new), 201, 'new keys count without a restart');
    is_blob($registry, 'a/b', $cold, '... for pulls as well');
    ok(is_ready(), '... and the server is ready again');
    unlike($registry->log . $registry->output, qr/SECRET/, 'no key is in the log');
};

subtest 'a server that hangs' => sub {
    my $manifest = $registry->get('/v2/a/b/manifests/v1');
    my $gone     = random_bytes(5000);
    is_status($registry->push_image('a/b', 'gone', [$gone]), 201, 'an image');
    $s3->fail(methods => 'HEAD|GET|PUT|DELETE|POST', slow => 300);
    is_status($registry->delete('/v2/a/b/manifests/' . $registry->get('/v2/a/b/manifests/gone')->header('Docker-Content-Digest')), 202, '... is deleted, so the keeper has an object to remove');
    is_status($registry->get('/healthz'), 200, '/healthz');
    ok(wait_for(60, sub { $s3->failed }), 'the keeper asks S3');
    my $type = $manifest->header('Content-Type');
    for my $i (1 .. 5) {
        is_status($registry->request('PUT', "/v2/a/b/manifests/t$i", body => $manifest->content, headers => { 'Content-Type' => $type }), 201, "tag $i");
        ok(wait_for(30, sub { $registry->output =~ /\bt$i\b/ }), '... is told') or diag($registry->output);
    }
    $s3->fail;
    $s3->restart;
    ok(is_ready(), 'the server is ready again');
    ok(wait_for(60, sub { !(my @left = objects_of($gone)) }), '... and what was deleted goes');
};

subtest 'a server that is away' => sub {
    my $until = tempdir() . '/over';
    my ($killer, @told) = in_parallel(4, 150, sub ($i) {
        if ($i == 0) {
            sleep 1;
            $s3->stop;
            sleep 4;
            kill 'KILL', $registry->children('worker bulk'), $registry->children('worker api');
            sleep 4;
            $s3->_serve;
            sleep 5;
            $s3->detach;
            spew($until, '');
            return 1;
        }
        my (@there, %refused);
        while (!-e $until) {
            my $bytes  = random_bytes(3_000);
            my $status = push_image("load$i." . @there, $bytes)->status;
            if ($status == 201) { push @there, digest($bytes) }
            else                { $refused{$status}++; sleep 0.1 }
        }
        return { there => \@there, refused => \%refused };
    });
    $s3->attach;
    my %refused = map { map { $_ => 1 } keys %{ $_->{refused} } } @told;
    is_deeply([ grep { $_ != 503 && $_ != 502 && $_ != 599 && $_ != 0 } keys %refused ], [], 'each push succeeded, or was answered 503');
    ok($refused{503}, '... and some were');
    my @there = map { @{ $_->{there} } } @told;
    cmp_ok(scalar @there, '>', 10, 'pushes were acknowledged');
    forget_copies();
    ok(is_ready(), 'the server is ready again by itself');
    my @lost = grep { my $got = $registry->get("/v2/a/b/blobs/$_"); $got->status != 200 || digest($got->content) ne $_ } @there;
    is(scalar @lost, 0, '... and each of them is there, whole');
};

subtest 'other bytes' => sub {
    my $tree = '/v2/a/b/_image/v1/blobs/etc/motd';
    is_status($registry->get($tree), 200, 'an image is looked into');
    $registry->stop;
    run([ 'sh', '-c', "rm -rf $dir/cache/[0-9a-f]* $dir/index/*/*/*" ]);
    $registry = Registry->start(dir => $dir, args => [ '--blobs', $s3->url, @QUICK ], expected => $log);
    $s3->fail(methods => 'GET', wrong => 1);
    my $got = $registry->get($tree);
    isnt($got->status, 200, 'not while S3 sends other bytes');
    is(scalar(cached()), 0, '... of which no copy is kept');
    $s3->fail;
    ok(wait_for(100, sub { $registry->get($tree)->status == 200 }), '... but afterwards');
    my $cold = random_bytes(150_000);
    is_status(push_image('cold2', $cold), 201, 'a blob');
    my ($key) = objects_of($cold);
    my $whole = slurp($s3->file($key));
    spew($s3->file($key), substr $whole, 0, 100_000);
    isnt(digest($registry->get(path_of($cold))->content), digest($cold), 'an object that was cut shows by its digest');
    spew($s3->file($key), $whole);
    is_blob($registry, 'a/b', $cold, '... and is not kept by nginx');
    flip($s3->file($key), 1000);
    my $fsck = Registry->try([ 'fsck', '--rate', '0', '--dir', $dir ], timeout => 100);
    like($fsck->{out}, qr/its object has another digest/, 'fsck finds an object with other bytes');
    spew($s3->file($key), $whole);
};

subtest 'the copies have a bound' => sub {
    is_status($registry->push_image('a/b', "c$_", [ random_bytes(300_000) ]), 201, "image $_") for 1 .. 6;
    my $sum = 0;
    $sum += $_ for cached();
    cmp_ok($sum, '<=', $cached, 'those for readers');
    cmp_ok($sum, '>',  0,       '... of which there are some');
};

subtest 'what a crash left' => sub {
    my ($hex) = digest(my $orphan = random_bytes(1000)) =~ /:(.*)/;
    my $key = 'registry/sha256/' . substr($hex, 0, 2) . "/$hex.0123456789abcdef";
    run([ 'mkdir', '-p', $s3->file($key) =~ s{/[^/]*$}{}r ]);
    spew($s3->file($key), $orphan);
    utime time - 2 * 3600, time - 2 * 3600, $s3->file($key);
    # The times of objects in parts are those of their beginning.
    my %large;
    for my $hours (2, 26) {
        my ($other) = digest("large $hours") =~ /:(.*)/;
        $large{$hours} = $s3->file('registry/sha256/' . substr($other, 0, 2) . "/$other.0123456789abcdef");
        run([ 'mkdir', '-p', dirname($large{$hours}) ]);
        spew($large{$hours}, '');
        truncate $large{$hours}, (5 << 30) + 1 or die $!;
        utime time - $hours * 3600, time - $hours * 3600, $large{$hours};
    }
    $registry->crash;
    ok(scalar(cached()), 'there are copies');
    spew("$dir/cache/boot", "another\n");
    $registry = Registry->start(dir => $dir, args => [ '--blobs', $s3->url, @QUICK ], expected => $log);
    is(scalar(cached()), 0, '... which nobody trusts after a boot of the machine');
    is_blob($registry, 'a/b', $layer, 'after kill -9 all is there');
    works(Registry->try([ 'gc', '--dir', $dir ], timeout => 100), 'gc');
    ok(wait_for(60, sub { !-e $s3->file($key) }), '... removes an object without a record');
    is_blob($registry, 'a/b', $layer, '... and no other');
    ok(wait_for(60, sub { !-e $large{26} }), '... nor one in parts whose upload is over for certain');
    ok(-e $large{2}, '... but one that may just have ended');
};

my $other = Registry->try([ '--listen', '127.0.0.1', '--port', '0', '--dir', tempdir() . '/new', '--blobs', $s3->url ], env => $s3->env);
is_refused($other, qr/another registry/, 'the bucket of another registry');
is(scalar(grep { !/level=info/ } split /\n/, $other->{err}), 1, '... in one line');
finish();
