# A machine that fails: each system call that a push needs, with each error that passes. The push is refused in OCI form
# and can be repeated, pulls go on, nothing half is left, and when it is over everything works without a restart.
use v5.36;
use Registry limit => 240;
use Registry::Checks;
use Registry::Shim;
use Registry::Tools;
use Errno qw(EIO EMFILE ENFILE ENOMEM ENOSPC EROFS);
use Test::More;

my $shim     = Registry::Shim->new;
my $registry = Registry->start(env => $shim->env, expected => qr/./, args => [ '--gc-interval', '1s', '--workers', '2' ]);
my $pid      = $registry->pid;
my $layer    = random_bytes(3000);
is_status($registry->push_image('a/b', 'v1', [$layer]), 201, 'an image is pushed');

# A manifest that becomes a file.
sub large_manifest ($n) {
    my ($config, $manifest) = $registry->image_of([$layer], note => "large $n");
    $manifest =~ s/\}\z/',"annotations":{"fill":"' . 'x' x 70_000 . '"}}'/e;
    return ($config, $manifest);
}

my $n = 0;
my %ways = (
    patch => sub { return $registry->push_blob('a/b', random_bytes(2000 + $n++), way => 'patch') },
    pieces => sub {
        my @pieces = (random_bytes(50_000), random_bytes(50_000 + $n++));
        my $begun  = $registry->post('/v2/a/b/blobs/uploads/', body => '');
        return $begun if $begun->status != 202;
        for my $piece (@pieces) {
            my $patched = $registry->patch($registry->place_of($begun), body => $piece);
            return $patched if $patched->status != 202;
        }
        return $registry->put($registry->with_digest($registry->place_of($begun), digest(join '', @pieces)), body => '');
    },
    manifest => sub {
        my ($config, $manifest) = large_manifest($n++);
        my $pushed = $registry->push_blob('a/b', $config, way => 'post');
        return $pushed->status == 201 ? $registry->put_manifest('a/b', "l$n", $manifest) : $pushed;
    },
    delete => sub {
        my $tagged = $registry->put_manifest('a/b', "d$n", $registry->get('/v2/a/b/manifests/v1')->content);
        return $tagged if $tagged->status != 201;
        return $registry->delete('/v2/a/b/manifests/d' . $n++);
    },
);

sub is_clean ($response, $name) {
    return ok(1, "$name succeeds all the same") if $response->status =~ /^20[0-9]$/;
    my $retry = $response->header('Retry-After') // '';
    my $code  = eval { $response->json->{errors}[0]{code} } // '';
    return ok($response->status =~ /^50[0-9]$/ && $retry =~ /^\d+$/ && $code ne '', "$name is refused cleanly")
        || diag($response->status, ' ', $response->content);
}

sub pulls () {
    return $registry->get('/v2/a/b/manifests/v1')->status == 200
        && digest($registry->get("/v2/a/b/blobs/@{[digest($layer)]}")->content) eq digest($layer);
}

# call, path, errors, ways; at_once: no recovery interrupts the pulls.
for my $case (
    [ openat    => 'uploads/', [ EMFILE, ENFILE, EIO ], [qw(patch pieces manifest)], 1 ],
    [ linkat    => 'uploads/', [ EIO, ENOSPC, EROFS ], [qw(patch pieces)], 1 ],
    [ linkat    => 'layers/',  [ EIO, ENOSPC, EROFS, ENOMEM ], [qw(patch manifest)], 1 ],
    [ write     => 'uploads/', [ EIO, ENOSPC ], [qw(manifest)], 1 ],
    [ fchmod    => 'uploads/', [ EIO, EROFS ], [qw(patch manifest)], 1 ],
    [ fsync     => 'layers/',  [EIO], [qw(patch manifest)], 1 ],
    [ copy_file_range => 'uploads/', [EIO], [qw(pieces)], 1 ],
    [ unlinkat  => 'uploads/', [ EIO, EROFS ], [qw(patch pieces)], 1 ],
    [ openat    => 'run/upload-locks', [EMFILE], [qw(patch pieces)], 1 ],
    [ pwrite    => '/db/log.', [ EIO, ENOSPC ], [qw(patch manifest delete)], 0 ],
    [ write     => '/db/log.', [ EIO, ENOSPC, ENOMEM ], [qw(patch manifest delete)], 0 ],
    [ fdatasync => '/db/log.', [EIO], [qw(patch delete)], 0 ],
    [ fdatasync => '/db/', [EIO], [qw(patch)], 0 ],
    [ pread     => '/db/', [EIO], [qw(patch delete)], 0 ],
    [ openat    => '/db/', [ EMFILE, EIO ], [qw(patch delete)], 0 ],
) {
    my ($call, $path, $errors, $ways, $at_once) = @$case;
    subtest "$call of $path" => sub {
        for my $error (@$errors) {
            local $! = $error;
            my $name = "$!";
            $shim->fail($call => $path, $error);
            is_clean($ways{$_}->(), "$name: $_") for @$ways;
            ok($at_once ? pulls() : wait_for(10, sub { pulls() || $registry->get('/healthz')->status == 503 }), '... pulls go on');
            $shim->heal;
            ok(wait_for(25, sub { $registry->get('/healthz')->status == 200 }), '... it gets well by itself');
            ok(wait_for(10, \&pulls), '... the image is there');
            for my $way (@$ways) {
                my $again = $ways{$way}->();
                ok($again->status =~ /^20/, "... and $way works again") or diag($again->status, ' ', $again->content);
            }
        }
    };
}

# The library's own file of settings, which outdoes the program's.
sub configure ($dir, $text) {
    spew("$dir/db/DB_CONFIG", $text);
    chmod 0644, "$dir/db/DB_CONFIG";
    chown((stat "$dir/db")[ 4, 5 ], "$dir/db/DB_CONFIG");
    return;
}

# Fewer locks than a large manifest needs.
subtest 'out of locks' => sub {
    my $dir  = tempdir() . '/data';
    my $few  = Registry->start(dir => $dir, expected => qr/./);
    my @parts = map { random_bytes(10 + $_) } 1 .. 120;
    is_status($few->push_image('a/b', 'v1', [$layer]), 201, 'an image is pushed');
    is_status($few->push_blob('a/b', $_, way => 'post'), 201, 'a part') or last for @parts;
    my ($config, $large) = $few->image_of(\@parts);
    is_status($few->push_blob('a/b', $config, way => 'post'), 201, '... and the config');
    $few->stop;
    configure($dir, "set_lk_max_locks 260\nset_lk_max_objects 260\n");
    $few = Registry->start(dir => $dir, expected => qr/./, args => [ map { ("--$_", 1) } qw(workers bulk-workers browse-workers) ]);
    my $response = $few->put_manifest('a/b', 'large', $large);
    is($response->status, 503, 'what needs more is refused') or diag($response->content);
    like($response->header('Retry-After') // '', qr/^\d+$/, '... and can be repeated');
    ok(wait_for(20, sub { $few->get('/v2/a/b/manifests/v1')->status == 200 }), 'pulls go on');
    is_status($few->get('/v2/a/b/manifests/large'), 404, 'nothing half is there');
    ok(wait_for(20, sub { $few->push_blob('a/b', random_bytes(100))->status == 201 }), 'small pushes work');
    my $pid = $few->pid;
    unlink "$dir/db/DB_CONFIG";
    kill 'KILL', $few->children('worker api'), $few->children('worker bulk') for 1 .. 1;
    ok(wait_for(30, sub { $few->put_manifest('a/b', 'large', $large)->status == 201 || (kill('KILL', $few->children('worker')), 0)[1] }),
        'with locks again it is taken, after a recovery');
    is($few->pid, $pid, '... without a restart');
    $few->stop;
};

ok($registry->running && $registry->pid == $pid, 'the server was never restarted');
ok(wait_for(20, sub { !$registry->files('uploads/body') }), 'no bodies are left') or diag(join "\n", $registry->files('uploads/body'));
$registry->stop;
finish();
