# Many at once: all succeed, and two registries on one machine don't know of each other.
use v5.36;
use Registry limit => 120;
use Registry::Checks;
use Registry::Tools;
use Test::More;

my $registry = Registry->start;

subtest 'eight clients push the same new image' => sub {
    for my $round (1 .. 3) {
        my @layers = map { random_bytes(300_000 * $_) } 1 .. 3;
        my @answers = in_parallel(8, 40, sub ($i) {
            my $response = $registry->push_image("team/same$round", 'v1', \@layers, way => (qw(patch put post))[ $i % 3 ]);
            return [ $response->status, $response->content ];
        });
        is_deeply([ map { $_->[0] } @answers ], [ (201) x 8 ], "round $round: all succeed") or diag(explain(\@answers));
        is_blob($registry, "team/same$round", $_, '... and the layers are whole') for @layers;
        ok(wait_for(5, sub { !grep { $registry->blob_files(digest($_)) != 1 } @layers }), '... with one file for each');
    }
};

subtest 'the same blob in eight repositories' => sub {
    my $bytes   = random_bytes(500_000);
    my @answers = in_parallel(8, 40, sub ($i) { return $registry->push_blob("many/r$i", $bytes)->status });
    is_deeply(\@answers, [ (201) x 8 ], 'all succeed');
    is_blob($registry, "many/r$_", $bytes, "... repository $_") for 0 .. 7;
};

subtest 'eight clients push different images to the same tag' => sub {
    for my $round (1 .. 3) {
        my $common  = random_bytes(100_000);
        my @answers = in_parallel(8, 40, sub ($i) {
            my @layers   = ($common, random_bytes(50_000 + $i));
            my $response = $registry->push_image('team/moving', 'latest', \@layers, note => "$round $i");
            return [ $response->status, $response->header('Docker-Content-Digest') ];
        });
        is_deeply([ map { $_->[0] } @answers ], [ (201) x 8 ], "round $round: all succeed") or diag(explain(\@answers));
        my $latest = $registry->get('/v2/team/moving/manifests/latest');
        my $digest = digest($latest->content);
        is(scalar(grep { ($_->[1] // '') eq $digest } @answers), 1, '... the tag names one of them');
        is_status($registry->get("/v2/team/moving/manifests/$_->[1]"), 200, '... and all are there by digest') for @answers;
    }
    is_deeply($registry->get('/v2/team/moving/tags/list')->json->{tags}, ['latest'], 'there is one tag');
};

subtest 'eight clients, forty tags' => sub {
    my $layer = random_bytes(1000);
    my @answers = in_parallel(8, 60, sub ($i) {
        return [ map { $registry->push_image('team/tags', "t$i-$_", [$layer], note => "$i $_")->status } 1 .. 5 ];
    });
    is_deeply(\@answers, [ ([ (201) x 5 ]) x 8 ], 'all succeed');
    is(scalar @{ $registry->get('/v2/team/tags/tags/list')->json->{tags} }, 40, 'none is lost');
};

is_tidy($registry);

subtest 'two registries side by side' => sub {
    my $other = Registry->start;
    my $bytes = random_bytes(100_000);
    is_status($registry->push_image('side/one', 'v1', [$bytes]), 201, 'a push to the one');
    is_status($other->get('/v2/side/one/manifests/v1'), 404, '... is not in the other');
    is_status($other->push_image('side/one', 'v1', [$bytes], note => 'other'), 201, 'a push of the same name to the other');
    isnt($registry->head('/v2/side/one/manifests/v1')->header('Docker-Content-Digest'),
        $other->head('/v2/side/one/manifests/v1')->header('Docker-Content-Digest'), '... is another image');
    $other->stop;
    is_blob($registry, 'side/one', $bytes, 'when one stops, the other goes on');
};
is_sound($registry, 'fsck finds nothing after all of that');
$registry->stop;

subtest 'nothing is written outside the directory' => sub {
    plan skip_all => 'needs strace' if !find_program('strace');
    my $tmp   = tempdir();
    my $trace = "$tmp/trace";
    mkdir "$tmp/$_" for qw(home tmp cwd);
    chmod 0777, map { "$tmp/$_" } qw(home tmp cwd);
    my $calls  = 'open,openat,creat,mkdir,mkdirat,link,linkat,symlink,symlinkat,rename,renameat,renameat2,unlink,'
        . 'unlinkat,mknod,mknodat,truncate';
    my @strace = ('strace', '-D', '-f', '-y', '-o', $trace, '-e', "trace=$calls");
    plan skip_all => 'strace cannot trace here' if run([ @strace, 'true' ])->{exit};
    my $traced = Registry->start(prefix => \@strace, cwd => "$tmp/cwd",
        env => { HOME => "$tmp/home", TMPDIR => "$tmp/tmp", ASAN_OPTIONS => 'detect_leaks=0' });
    is_status($traced->push_image('a/b', 'v1', [ random_bytes(500_000) ]), 201, 'a push');
    is_status($traced->get('/v2/a/b/manifests/v1'), 200, 'a pull');
    $traced->stop;
    my $dir = $traced->dir;
    my @outside;
    for my $line (split /\n/, slurp($trace)) {
        next if $line !~ /O_WRONLY|O_RDWR|O_CREAT|^\d+ +(?!open)\w+\(/ || $line =~ /= -1 E/;
        for my $path ($line =~ m{"(/[^"]*)"}g) {
            push @outside, $line if $path !~ m{^\Q$dir\E(?:/|$)} && $path !~ m{^/dev/(?:null|zero|tty)$|^/proc/};
        }
        push @outside, $line if $line =~ m{AT_FDCWD<([^>]*)>, "[^/]} && $1 !~ m{^\Q$dir\E(?:/|$)};
    }
    is_deeply(\@outside, [], 'no file outside it was opened for writing, made, or removed');
    cmp_ok(-s $trace, '>', 1000, '(the trace has seen something)');
    for my $place (qw(home tmp cwd)) {
        opendir my $open, "$tmp/$place";
        is_deeply([ grep { !/^\.\.?$/ } readdir $open ], [], "$place is empty");
    }
};

finish();
