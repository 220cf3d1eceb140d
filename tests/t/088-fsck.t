# "docker-registry-server fsck": what is damaged is named, a repair and a new push heal it, and a good store is clean.
use v5.36;
use Registry limit => 170;
use Registry::Checks;
use Registry::Tools;
use JSON::PP ();
use Test::More;

sub fsck ($registry, @args) { return Registry->try([ 'fsck', '--dir', $registry->dir, @args ], timeout => 60) }

sub is_clean ($registry, $what, @args) {
    my $ran = fsck($registry, @args);
    is($ran->{exit}, 0, "$what: clean") or diag($ran->{out} . $ran->{err});
    like($ran->{out}, qr/\Achecked \d+ records, .*: 0 findings, 0 repaired/, '... with one line');
    return $ran;
}

# One finding of that kind, and perhaps more.
sub is_found ($ran, $pattern, $what) {
    is($ran->{exit}, 1, "$what: exit 1");
    like($ran->{out}, qr/^$pattern/m, '... and it is named') or diag($ran->{out} . $ran->{err});
    return;
}

sub file_of ($registry, $bytes) {
    my $hex = digest($bytes) =~ s/sha256://r;
    my ($path) = glob $registry->dir . '/layers/sha256/' . substr($hex, 0, 2) . "/$hex.*";
    return $path;
}
sub index_of ($registry, $bytes) {
    my $hex = digest($bytes) =~ s/sha256://r;
    return $registry->dir . '/index/sha256/' . substr($hex, 0, 2) . "/$hex";
}

my $registry = Registry->start(args => [ '--scrub-days', '0' ]);
is_clean($registry, 'an empty registry');
my ($shared, $lone, $other) = map { random_bytes(3000 + $_) } 1 .. 3;
my ($config, $manifest) = $registry->image_of([ $shared, $other ]);
sub push_all ($name) {
    return grep { $_ != 201 } (map { my $b = $_; $registry->head("/v2/$name/blobs/" . digest($b))->status == 200 ? 201 : $registry->push_blob($name, $b)->status } $shared, $other, $config),
        $registry->put_manifest($name, 'v1', $manifest)->status;
}
is_deeply([ push_all($_) ], [], "an image in $_") for 'a/b', 'c/d';
$registry->push_blob('a/b', $lone);
ok(wait_for(20, sub { -e index_of($registry, $shared) && -e index_of($registry, $other) }), 'its layers are indexed');
is_clean($registry, 'beside a server');
my $json = JSON::PP->new->decode(fsck($registry, '--json')->{out});
is_deeply($json->{findings}, [], 'the same as JSON');
cmp_ok($json->{summary}{records}, '>', 20, '... with a summary');

sub pulls ($name) {
    my $r = $registry->get("/v2/$name/manifests/v1");
    return join ' ', $r->status, map { $registry->get("/v2/$name/blobs/" . digest($_))->content eq $_ ? 'ok' : 'no' } $shared, $other, $config;
}

subtest 'a deleted image that can come back' => sub {
    my (undef, $gone) = $registry->push_parts('e/f');
    is_status($registry->put_manifest('e/f', 'v1', $gone), 201, 'an image is pushed');
    is_status($registry->delete('/v2/e/f/manifests/' . digest($gone)), 202, '... and deleted');
    is_clean($registry, 'beside a server');
    is_clean($registry, '... with a repair', '--repair');
    is(Registry->try([ 'tag', 'restore', 'e/f:v1', '--dir', $registry->dir ])->{exit}, 0, 'the tag is put back');
    is($registry->get('/v2/e/f/manifests/v1')->content, $gone, '... and names the image');
};

subtest 'a flipped byte in a blob' => sub {
    flip(file_of($registry, $shared), 1234);
    my $digest = digest($shared);
    is_found(fsck($registry), "blob-digest $digest: its file has another digest; --repair: ", 'without a repair');
    like(pulls('a/b'), qr/^200 no ok/, '... nothing changes');
    my $ran = fsck($registry, '--repair');
    is_found($ran, "blob-digest $digest: its file has another digest; repaired: ", 'with one');
    like($ran->{out}, qr/1 finding, 1 repaired; 1 blob waits to be pushed again$/m, '... as the summary says');
    is_status($registry->head("/v2/a/b/blobs/$digest"), 404, 'clients are told that it is missing');
    is_status($registry->get('/v2/a/b/manifests/v1'), 200, '... and the manifest is there');
    my @held = glob $registry->dir . '/layers/quarantine/*';
    is(scalar @held, 1, 'its file is in the quarantine');
    ok(!-e index_of($registry, $shared), '... and its index is gone');
    like(is_clean($registry, 'once more')->{out}, qr/; 1 blob waits to be pushed again$/m, '... and says what is awaited');
    is_deeply([ push_all('a/b') ], [], 'the client pushes it again');
    is(pulls('a/b'), '200 ok ok ok', '... and the image is whole');
    is(pulls('c/d'), '200 ok ok ok', '... also in the other repository');
    ok(wait_for(20, sub { -e index_of($registry, $shared) }), '... and can be looked into');
    unlike(is_clean($registry, 'then')->{out}, qr/wait to be/, '... and nothing is awaited');
};

subtest 'a removed blob, and one that was cut' => sub {
    unlink file_of($registry, $shared) or die $!;
    chmod 0644, file_of($registry, $config);
    truncate file_of($registry, $config), 10 or die $!;
    flip(file_of($registry, $lone), 0);
    my $ran = fsck($registry, '--repair');
    is_found($ran, 'blob-file ' . digest($shared) . ': its file is missing; repaired: ', 'removed');
    is_found($ran, 'blob-file ' . digest($config) . ': its file has 10 bytes instead of ', 'cut');
    is_found($ran, 'blob-digest ' . digest($lone), 'one that nothing needs');
    like(is_clean($registry, 'once more')->{out}, qr/; 2 blobs wait/, '... which is not awaited');
    is_deeply([ push_all('c/d') ], [], 'a push to the other repository');
    is(pulls('a/b'), '200 ok ok ok', '... heals the first one');
    is_clean($registry, 'then');
};

subtest 'indexes' => sub {
    ok(wait_for(20, sub { -e index_of($registry, $shared) && -e index_of($registry, $other) }), 'are there');
    flip(index_of($registry, $other), 300);
    my $ran;
    # The job that has made an index may still be ending: then the keeper makes it again.
    wait_for(20, sub { unlink index_of($registry, $shared); $ran = fsck($registry); $ran->{out} =~ /^index-missing/m });
    is_found($ran, 'index-missing \S+: its layer ' . digest($shared) . ' has no index', 'a removed index');
    is_found($ran, 'index-damaged ' . digest($other), 'a damaged one');
    fsck($registry, '--repair');
    ok(wait_for(20, sub { -e index_of($registry, $shared) && -e index_of($registry, $other) }), 'they are made again');
    is_clean($registry, 'then');
};

# A log and a table that are larger than what is copied at once.
for my $i (1 .. 30) {
    my $large = JSON::PP->new->decode($manifest);
    $large->{annotations} = { text => unpack 'H*', random_bytes(25_000) };
    $registry->put_manifest('a/b', "large$i", JSON::PP->new->encode($large));
}
is_clean($registry, 'large tables, beside a server');
$registry->stop;
is_clean($registry, 'without a server');

sub copy () {
    my $dir = tempdir() . '/data';
    chmod 0755, $dir =~ s{/data$}{}r;
    system('cp', '-a', $registry->dir, $dir) == 0 or die 'cp';
    return bless { dir => $dir }, 'Copy';
}
sub Copy::dir ($self) { return $self->{dir} }
sub listing ($dir) { return scalar `cd $dir && find . -type f -printf '%p %s %T@\n' | sort` }

subtest 'files of the database' => sub {
    my %damage = (
        'a cut table' => [ 'database db/edge: ', sub ($dir) { truncate "$dir/db/edge", (-s "$dir/db/edge") - 8192 or die $! } ],
        'one that was cut within a page' => [ 'database db/tag: it was cut off within a page', sub ($dir) { truncate "$dir/db/tag", 5000 or die $! } ],
        'one that was cut behind its first page' => [ 'database db/tag: ', sub ($dir) { truncate "$dir/db/tag", 4096 or die $! } ],
        'a removed table' => [ 'database db/manifest: it is missing', sub ($dir) { unlink "$dir/db/manifest" or die $! } ],
        'a removed table that older stores lack' => [ 'database db/trash: it is missing', sub ($dir) { unlink "$dir/db/trash" or die $! } ],
        'a flipped byte of a table' => [ 'database db/blob: page 1 has a wrong checksum', sub ($dir) { flip("$dir/db/blob", 4096 + 1000) } ],
        'one in its first page' => [ 'database db/repo: page 0 has a wrong checksum', sub ($dir) { flip("$dir/db/repo", 100) } ],
        'a removed log' => [ 'database db/log.0000000001: ', sub ($dir) { unlink "$dir/db/log.0000000001" or die $! } ],
        'a flipped byte in the log' => [ 'database db/', sub ($dir) { flip("$dir/db/log.0000000001", 2000) } ],
    );
    for my $what (sort keys %damage) {
        my ($finding, $do) = @{ $damage{$what} };
        my $copy = copy();
        $do->($copy->dir);
        my $before = listing($copy->dir);
        my $ran    = fsck($copy);
        is_found($ran, $finding, $what);
        like($ran->{err}, qr/^docker-registry-server: the database is damaged, .* restore --snapshot, or restore a backup$/m, '... with what can be done') or diag($ran->{out});
        is_found(fsck($copy, '--repair'), $finding, '... a repair');
        is(listing($copy->dir) =~ s{^\./(?:db/lock|audit/commands) .*\n}{}gmr, $before =~ s{^\./(?:db/lock|audit/commands) .*\n}{}gmr, '... changes nothing');
    }
};

subtest 'a damaged page, and all the rest' => sub {
    my $copy = copy();
    flip($copy->dir . '/db/tag', 4096 + 1000);
    flip(file_of($copy, $other), 5);
    unlink file_of($copy, $shared) or die $!;
    for my $repair ([], ['--repair']) {
        my $ran = fsck($copy, @$repair);
        is_found($ran, 'database db/tag: page 1 has a wrong checksum', "@$repair: the page");
        is_found($ran, 'blob-digest ' . digest($other) . ': its file has another digest; --repair', '... and what else is wrong');
        is_found($ran, 'blob-file ' . digest($shared) . ': its file is missing; --repair', '... and what is missing');
        unlike($ran->{out}, qr/^(?!database|blob-digest|blob-file|checked)/m, '... and nothing that is well');
        like($ran->{err}, qr/the database is damaged, and nothing was repaired: stop the server/, '... as the last line says');
    }
    my $server = Registry->start(dir => $copy->dir, args => [ '--scrub-days', '0' ], expected => qr/berkeley db|is damaged|a request failed/);
    my $beside = fsck($copy);
    is_found($beside, 'database db/tag: page 1 has a wrong checksum', 'beside a server: the page');
    is_found($beside, 'blob-digest ' . digest($other) . ': its file has another digest; --repair', '... and what else is wrong');
    is_found($beside, 'blob-file ' . digest($shared) . ': its file is missing; --repair', '... and what is missing');
    unlike($beside->{out}, qr/^(?!database|blob-digest|blob-file|checked)/m, '... and nothing that is well');
    like($beside->{out}, qr/^checked [1-9]\d+ records, [1-9]\d* blobs/m, '... of which much was looked at');
    like($beside->{err}, qr/the database is damaged, and nothing was repaired/, '... as the last line says');
    unlike($server->log, qr/process died|recovering/, '... and the server was left alone');
    ok(-e file_of($copy, $other), 'the blob is where it was');
    ok(!-e $copy->dir . '/run/fsck', '... and no copy is left');
    $server->stop;
};

subtest 'a backup is a directory without locks' => sub {
    my $copy = copy();
    system('rm', '-rf', map { $copy->dir . "/$_" } qw(run uploads db/lock db/backup.lock db/reserve index)) == 0 or die 'rm';
    unlink glob $copy->dir . '/db/__db.*';
    my $before = listing($copy->dir);
    my $ran    = fsck($copy);
    is_found($ran, 'index-missing', 'without indexes');
    unlike($ran->{out}, qr/^(?!index-missing|checked)/m, '... nothing else is missing');
    is(listing($copy->dir), $before, '... and nothing is written');
};

subtest 'arguments' => sub {
    is(fsck($registry, 'x')->{exit}, 2, 'a word');
    is(fsck($registry, '--rate', 'fast')->{exit}, 2, 'a rate that is none');
    is_refused(Registry->try([ 'fsck', '--dir', tempdir() ]), qr/./, 'a directory without a registry');
    my $started = time;
    is_clean($registry, 'a rate', '--rate', '4K');
    cmp_ok(time - $started, '>=', 1, '... is kept to');
};
finish();
