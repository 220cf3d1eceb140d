# What was to be indexed is indexed, whoever dies meanwhile; index/ may go at any time.
use v5.36;
use Registry limit => 240;
use Registry::Checks;
use Registry::Process;
use Registry::Tools;
use Registry::V1;
use File::Path ();
use IO::Compress::Gzip qw(gzip $GzipError);
use Test::More;
use Time::HiRes qw(sleep time);

# A layer that takes a while: members of ten million zeros, of which the first is a tar's beginning.
sub slow_layer ($name, $members) {
    my $zeros = "\0" x 10_000_000;
    my $head  = substr(Registry::V1::tar_of([ $name, '' ]), 0, 512);
    substr $head, 124, 12, sprintf("%011o\0", 512 * int(($members * length $zeros) / 512) - 2048);
    substr $head, 148, 8, '        ';
    substr $head, 148, 8, sprintf "%06o\0 ", unpack '%32C*', $head;
    gzip(\$head, \my $first) or die $GzipError;
    gzip(\$zeros, \my $member) or die $GzipError;
    return $first . $member x $members;
}
sub hex_of ($bytes) { return digest($bytes) =~ s/^sha256://r }
sub told ($registry, $config, $limit = 60) {
    my $id12 = substr hex_of($config), 0, 12;
    wait_for($limit, sub { $registry->output =~ /^\Q$id12\E - indexed layer data$/m });
    return scalar(() = $registry->output =~ /^\Q$id12\E - indexed layer data$/mg);
}
sub indexes ($registry) { return grep { !/\/$/ } $registry->files('index') }
sub child_of ($registry, $layer) { return ($registry->children('index ' . substr hex_of($layer), 0, 12))[0] }

# Pushes an image of a slow layer, and stops the one that indexes it.
sub push_and_hold ($registry, $name) {
    my $layer = slow_layer($name, 90);
    my ($config) = $registry->image_of([$layer]);
    is_status($registry->push_image('a/b', $name, [$layer]), 201, 'a large layer is pushed');
    my $child;
    ok(wait_for(20, sub { $child = child_of($registry, $layer) }), '... and somebody indexes it') or return;
    kill 'STOP', $child;
    return ($layer, $config, $child);
}

my $registry = Registry->start(expected => qr{process died});

subtest 'the keeper is killed' => sub {
    my ($layer, $config, $child) = push_and_hold($registry, 'keeper');
    my ($keeper) = $registry->children('keeper');
    is(parent_of($child), $keeper, '... a child of the keeper');
    kill 'KILL', $keeper;
    ok(wait_for(10, sub { !alive($child) }), 'the child goes with it');
    is(scalar(indexes($registry)), 0, '... and leaves nothing');
    is(told($registry, $config), 1, 'the next one has it done');
    is(scalar(indexes($registry)), 1, '... once');
};

subtest 'who indexes is killed' => sub {
    my ($layer, $config, $child) = push_and_hold($registry, 'child');
    kill 'KILL', $child;
    is(told($registry, $config), 1, 'another one does it');
    my $answer = $registry->get('/v2/a/b/_image/child/tree/');
    is_status($answer, 200, 'and it can be looked into');
};

subtest 'who indexes is killed each time' => sub {
    my ($layer, $config, $child) = push_and_hold($registry, 'killed');
    my $killed = 0;
    ok(wait_for(60, sub {
        $killed += kill 'KILL', $registry->children('index');
        return $registry->output =~ /^\Q${\ substr hex_of($config), 0, 12}\E - indexed/m;
    }), 'that comes to an end');
    cmp_ok($killed, '>=', 4, '... after some tries');
    my $answer = $registry->get('/v2/a/b/_image/killed/tree/');
    is_status($answer, 422, 'and then it can not be looked into');
    like($answer->content, qr/was killed/, '... which is told');
};

subtest 'its file can not be opened' => sub {
    my $tar = Registry::V1::tar_of([ 'file', 'text' ]);
    my ($config, $manifest) = $registry->image_of([$tar], note => 'away');
    $registry->push_blob('a/b', $_) for $tar, $config;
    my $file = $registry->dir . '/' . ($registry->blob_files(digest($tar)))[0];
    rename $file, "$file.away" or die $!;
    is_status($registry->put_manifest('a/b', 'away', $manifest), 201, 'an image');
    ok(wait_for(20, sub { $registry->logged(qr/can't be indexed now.*No such file/) }), 'the log tells of it');
    my $other = Registry::V1::tar_of([ 'other', '' ]);
    is_status($registry->push_image('a/b', 'other', [$other]), 201, 'another image');
    is(told($registry, ($registry->image_of([$other]))[0]), 1, '... does not wait for it');
    rename "$file.away", $file or die $!;
    is(told($registry, $config), 1, 'when it is back the image is done');
};

subtest 'the server is stopped' => sub {
    my ($layer, $config, $child) = push_and_hold($registry, 'stop');
    my $before = indexes($registry);
    $registry->stop;
    cmp_ok($registry->seconds_to_stop, '<', 10, 'it waits for nobody');
    ok(!alive($child), '... and leaves nobody');
    $registry = Registry->start(dir => $registry->dir);
    is(told($registry, $config), 1, 'after the next start it is done');
    is(scalar(indexes($registry)), $before + 1, '... once');
};

subtest 'all is killed' => sub {
    my ($layer, $config, $child) = push_and_hold($registry, 'crash');
    my $small = random_bytes(1000);
    my ($other) = $registry->image_of([$small]);
    is_status($registry->push_image('c/d', 'v1', [$small]), 201, 'another image waits');
    $registry->crash;
    ok(wait_for(10, sub { !alive($child) }), 'whoever indexes ends');
    $registry = Registry->start(dir => $registry->dir);
    is(told($registry, $config), 1, 'after the next start it is done');
    cmp_ok(told($registry, $other, 5), '<=', 1, 'the other one as well, if it was not before');
    is_status($registry->get('/v2/c/d/_image/v1/tree/'), 422, '... which is no tar');
};

subtest 'index/ is emptied' => sub {
    my $dir = $registry->dir . '/index';
    my $tar = Registry::V1::tar_of([ 'etc/one', 'text' ]);
    is_status($registry->push_image('e/f', 'v1', [$tar]), 201, 'an image');
    is(told($registry, ($registry->image_of([$tar]))[0]), 1, '... is indexed');
    File::Path::remove_tree($dir, { keep_root => 1 });
    my $answer = $registry->get('/v2/e/f/_image/v1/blobs/etc/one');
    is_status($answer, 200, 'who asks then waits for a new one');
    is($answer->content, 'text', '... and gets what is in the image');
    File::Path::remove_tree($dir, { keep_root => 1 });
    my ($config) = $registry->image_of([$tar], note => 'new');
    is_status($registry->push_image('e/f', 'v2', [$tar], note => 'new'), 201, 'a new image of the old layer');
    is(told($registry, $config), 1, '... is done as well');
    is(scalar(indexes($registry)), 1, '... and has made it again');
    is_deeply([ grep { !m{^index/+sha256/[0-9a-f]{2}/[0-9a-f]{64}$} } indexes($registry) ], [], 'nothing else is there');
};

finish();
