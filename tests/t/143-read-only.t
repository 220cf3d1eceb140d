# Pulls without pushes: --read-only, and a data directory on a file system that is mounted read-only. And --min-free, which
# refuses pushes before the disk is full.
use v5.36;
use Registry limit => 150;
use Registry::Checks;
use Registry::Tools;
use Test::More;

use constant MiB => 1 << 20;

my $dir    = tempdir() . '/data';
my $layer  = random_bytes(20_000);
my $big    = random_bytes(10);
my $first  = Registry->start(dir => $dir);
is_status($first->push_image('a/b', 'v1', [$layer]), 201, 'an image is pushed');
my $loose = random_bytes(500);
is_status($first->push_blob('a/b', $loose), 201, 'a blob without an image, too');
my $manifest = $first->get('/v2/a/b/manifests/v1')->content;
$first->stop;

sub is_refused_write ($response, $name) {
    is_error($response, 405, 'UNSUPPORTED', $name);
    like($response->header('Allow') // '', qr/GET, HEAD/, '... it says what is allowed');
    return;
}

sub serves_pulls_only ($registry) {
    is_status($registry->get('/v2/'),              200, 'it is a registry');
    is_status($registry->get('/healthz'),          200, '... and well');
    is($registry->get('/v2/a/b/manifests/v1')->content, $manifest, 'a tag is pulled');
    is_blob($registry, 'a/b', $layer, '... with its layer');
    is_status($registry->head("/v2/a/b/blobs/@{[digest($loose)]}"), 200, 'what nothing keeps is found');
    is_deeply($registry->get('/v2/a/b/tags/list')->json->{tags}, ['v1'], 'tags are listed');
    is_deeply($registry->get('/v2/_catalog')->json->{repositories}, ['a/b'], '... and repositories');
    is_status($registry->get('/v1/repositories/a/b/tags'), 200, 'the first API, too');
    is_refused_write($registry->post('/v2/a/b/blobs/uploads/', body => ''), 'an upload is refused');
    is_refused_write($registry->post("/v2/a/b/blobs/uploads/?digest=@{[digest($big)]}", body => $big), '... a whole one as well');
    is_refused_write($registry->post("/v2/c/d/blobs/uploads/?mount=@{[digest($layer)]}&from=a/b", body => ''), '... a mount');
    is_refused_write($registry->put('/v2/a/b/manifests/v2', body => $manifest), '... a tag');
    is_refused_write($registry->delete('/v2/a/b/manifests/v1'), '... a deletion');
    is_refused_write($registry->delete("/v2/a/b/blobs/@{[digest($loose)]}"), '... of a blob');
    my $v1 = $registry->delete('/v1/repositories/a/b/');
    is($v1->status, 405, '... by the first API') or diag($v1->content);
    is_deeply([ $registry->logged(qr/level=(?:error|warn)/) ], [ $registry->logged(qr/there are no users|is read-only:/) ],
        'nothing fails aloud');
    return;
}

subtest '--read-only' => sub {
    my $registry = Registry->start(dir => $dir, args => [ '--read-only', '--lease', '0s', '--gc-interval', '1s' ]);
    spew("$dir/../rules", "** keep match none\n");
    my $retain = Registry->try([ 'retain', '--retain', "$dir/../rules", '--dir', $dir ]);
    is_refused($retain, qr/this registry is read-only at the moment, and nothing is deleted; --dry-run shows what would go/, 'retain');
    is($retain->{out}, '', '... lists nothing');
    is_refused(Registry->try([ 'gc', '--dir', $dir ]), qr/this registry is read-only at the moment, and nothing is deleted; --dry-run shows what would go/, 'gc');
    is(Registry->try([ 'gc', '--dry-run', '--dir', $dir ])->{exit}, 0, '... except for a dry run');
    serves_pulls_only($registry);
    is_status($registry->get('/v2/a/b/_image/v1/tree/'), 422, 'an image is not looked into without its index')
        if !grep { m{^index/sha256} } $registry->files('index');
    sleep 2;
    is(scalar $registry->blob_files(digest($loose)), 1, 'no garbage is collected');
    $registry->stop;
    $registry = Registry->start(dir => $dir);
    is_status($registry->push_image('a/b', 'v2', [ random_bytes(100) ]), 201, 'without the option pushes work again');
    is_status($registry->delete('/v2/a/b/manifests/v2'), 202, '... and deletions');
    $registry->stop;
};

my @mounted;
END { run([ 'umount', $_ ]) for reverse @mounted }

sub mounted ($at, @how) {
    mkdir $at or die "$at: $!";
    return 0 if !is_root() || run([ 'mount', @how, $at ])->{exit} != 0;
    push @mounted, $at;
    return 1;
}

SKIP: {
    my $tmp = tempdir();
    chmod 0755, $tmp;
    skip_part('nothing can be mounted here') if !mounted("$tmp/ro", '--bind', $dir =~ s{/data$}{}r);
    chmod 0755, $dir =~ s{/data$}{}r;
    run([ 'mount', '-o', 'remount,bind,ro', "$tmp/ro" ])->{exit} == 0 or skip_part('nothing can be mounted read-only here');
    mkdir "$tmp/tmp";
    chmod 01777, "$tmp/tmp";
    my %o = (dir => "$tmp/ro/data", env => { TMPDIR => "$tmp/tmp" });

    subtest 'a file system that is mounted read-only' => sub {
        my $registry = Registry->start(%o);
        my @copies   = glob "$tmp/tmp/docker-registry-server-*";
        is(scalar @copies, 1, 'there is a copy of the database');
        serves_pulls_only($registry);
        ok(kill(0, $registry->pid), 'it runs');
        kill 'KILL', $registry->children('worker api');
        ok(wait_for(20, sub { $registry->get('/v2/a/b/manifests/v1')->status == 200 }), 'a killed worker is replaced');
        $registry->stop;
        is_deeply([ glob "$tmp/tmp/*" ], [], 'the copy goes with the server');
    };

    subtest 'after kill -9' => sub {
        my $registry = Registry->start(%o);
        $registry->crash;
        is(scalar(my @left = glob "$tmp/tmp/docker-registry-server-*"), 1, 'a copy is left');
        ok(wait_for(10, sub { !$registry->processes }), 'all processes are gone');
        $registry = Registry->start(%o);
        is_status($registry->get('/v2/a/b/manifests/v1'), 200, 'the next start serves');
        my $second = Registry->try([ '--listen', '127.0.0.1', '--port', 0, '--dir', $o{dir} ], env => $o{env});
        is_refused($second, qr/in use by another server/, 'a second server is refused');
        $registry->stop;
        is_deeply([ glob "$tmp/tmp/*" ], [], '... and nothing is left');
    };

    my $sockets = tempdir();
    is_refused(Registry->try([ '--fastcgi', $sockets, '--dir', $o{dir} ], env => $o{env}), qr/mounted read-only.*leave out --fastcgi/,
        'a foreign nginx would not find the files');
    if (mounted("$tmp/small", '-t', 'tmpfs', '-o', 'size=1m,mode=1777', 'registry-test')) {
        is_refused(Registry->try([ '--listen', '127.0.0.1', '--port', 0, '--dir', $o{dir} ], env => { TMPDIR => "$tmp/small" }),
            qr/no room for a copy of the database .*set TMPDIR/, 'no room for the copy');
    }
}

sub skip_part ($why) { no warnings 'exiting'; diag("skip: $why"); last SKIP }

SKIP: {
    my $disk = tempdir() . '/disk';
    chmod 0755, $disk =~ s{/disk$}{}r;
    skip_part('nothing can be mounted here') if !mounted($disk, '-t', 'tmpfs', '-o', 'size=300m,mode=755', 'registry-test');
    subtest '--min-free' => sub {
        my $registry = Registry->start(dir => "$disk/data", args => [ '--min-free', '150M' ],
            expected => qr/disk is full|disk has room/);
        is_status($registry->push_image('a/b', 'v1', [$layer]), 201, 'with room an image is pushed');
        run([ 'fallocate', '-l', 120 * MiB, "$disk/beside" ]);
        my $response = $registry->push_blob('a/b', random_bytes(1000));
        is_error($response, 503, 'UNAVAILABLE', 'with less than that free a push is refused');
        like($response->content, qr/157 MB are kept free/, '... which says why');
        like($response->header('Retry-After') // '', qr/^\d+$/, '... to be repeated');
        is_blob($registry, 'a/b', $layer, 'pulls work');
        is_status($registry->delete('/v2/a/b/manifests/v1'), 202, 'deletions, too');
        ok(wait_for(10, sub { $registry->logged(qr/disk is full.*needed=157286400/) }), 'the log names the room');
        unlink "$disk/beside";
        is_status($registry->push_image('a/b', 'v1', [$layer]), 201, 'with room pushes work again');
        $registry->stop;
    };
}

finish();
