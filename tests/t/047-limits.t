# Whatever grows by requests has a bound: the last one that is allowed works, the next is refused and
# told what to do, what goes makes room, and many at once never get more.
use v5.36;
use Registry limit => 120;
use Registry::Checks;
use Registry::Tools;
use Test::More;

my $layer = random_bytes(2000);

# Refused in OCI form, with the option that does it.
sub is_full ($response, $status, $code, $option, $name) {
    is_error($response, $status, $code, $name);
    like($response->message, qr/\Q$option\E/, "... by $option");
    return;
}

sub tags ($registry, $repository) { return scalar @{ $registry->get("/v2/$repository/tags/list")->json->{tags} } }

subtest '--max-repositories' => sub {
    my $registry = Registry->start(args => [ '--max-repositories', 3 ]);
    is_status($registry->push_image("team/r$_", 'v1', [$layer]), 201, "repository $_") for 1 .. 3;
    for my $way (qw(patch put post)) {
        is_full($registry->push_blob('team/r4', $layer, way => $way), 403, 'DENIED', '--max-repositories', "a fourth, by $way");
    }
    my $mount = $registry->post('/v2/team/r4/blobs/uploads/?from=team/r1&mount=' . digest($layer), body => '');
    is_full($mount, 403, 'DENIED', '--max-repositories', '... by a mount');
    is_full($registry->put_manifest('team/r4', 'v1', ($registry->image_of([$layer]))[1]), 403, 'DENIED', '--max-repositories',
        '... by a manifest');
    is_error($registry->get('/v2/team/r4/tags/list'), 404, 'NAME_UNKNOWN', '... and it is not there');
    my ($config, $manifest) = $registry->image_of([$layer]);
    is_status($registry->delete('/v2/team/r3/manifests/' . digest($manifest)), 202, 'all that is in one goes');
    for my $i (1 .. 10) {
        $registry->put_manifest("failed/m$i", 'v1', $manifest);
        $registry->push_blob("failed/b$i", $layer, digest => digest('other'));
        $registry->start_upload("failed/u$i");
        $registry->post("/v2/failed/p$i/blobs/uploads/?from=team/none&mount=" . digest($layer), body => '');
        $registry->put("/v1/repositories/failed/t$i/tags/v1", body => '"' . 'a' x 64 . '"');
    }
    is_status($registry->push_image('team/r4', 'v1', [$layer]), 201, '... and nothing that failed has taken its place');
    is_full($registry->push_blob('team/r5', $layer), 403, 'DENIED', '--max-repositories', '... for one');
    is_status($registry->push_image('team/r1', 'v2', [$layer]), 201, 'those that are there go on');
    is_tidy($registry);
    $registry->stop;

    $registry = Registry->start(dir => $registry->dir, args => [ '--max-repositories', 5 ]);
    my @got = in_parallel(6, 40, sub ($i) {
        return scalar grep { $registry->push_blob("many/r$i-$_", 'x', way => 'post')->status == 201 } 1 .. 3;
    });
    my $n = 0;
    $n += $_ for @got;
    is($n, 2, 'after a restart with room for two, six at once get two') or diag("@got");
    $registry->stop;
    $registry = Registry->start(dir => $registry->dir, args => [ '--max-repositories', 0 ]);
    is_status($registry->push_image("free/r$_", 'v1', [$layer]), 201, "without a limit: $_") for 1 .. 3;
};

subtest '--max-repositories and repositories that have only blobs' => sub {
    my $registry = Registry->start(args => [ '--max-repositories', 1 ]);
    is_status($registry->push_blob('a/b', $layer), 201, 'a layer makes one');
    is_full($registry->push_blob('c/d', $layer), 403, 'DENIED', '--max-repositories', '... which counts');
    is_status($registry->delete('/v2/a/b/blobs/' . digest($layer)), 202, '... until the layer is deleted');
    is_status($registry->push_blob('c/d', $layer), 201, '... so that there is room for another');
    is_full($registry->push_blob('a/b', $layer), 403, 'DENIED', '--max-repositories', '... which counts instead');
    is_status($registry->delete('/v2/c/d/blobs/' . digest($layer)), 202, 'the other way round');
    is_status($registry->push_image('a/b', 'v1', [$layer]), 201, '... it is the first one again');
    is_error($registry->delete('/v2/c/d/blobs/' . digest($layer)), 404, 'BLOB_UNKNOWN', '... and what is gone');
    is_full($registry->push_blob('c/d', $layer), 403, 'DENIED', '--max-repositories', '... makes no room');
};

subtest '--max-tags' => sub {
    my $registry = Registry->start(args => [ '--max-tags', 5 ]);
    is_status($registry->push_image('team/app', "v$_", [$layer], note => "$_"), 201, "tag $_") for 1 .. 5;
    my (undef, $other) = $registry->image_of([$layer], note => '1');
    my $digest = digest($other);
    is_full($registry->put_manifest('team/app', 'v6', $other), 403, 'DENIED', '--max-tags', 'a sixth');
    is_status($registry->get('/v2/team/app/manifests/v6'), 404, '... is not there');
    is_status($registry->put_manifest('team/app', 'v5', $other), 201, 'one that is there may move');
    is_status($registry->put_manifest('team/app', $digest, $other), 201, 'a push without a tag');
    is_full($registry->put_manifest('team/app', "$digest?tag=v5&tag=v6", $other), 403, 'DENIED', '--max-tags', 'two at once, one of them new');
    is_status($registry->push_image('team/other', 'v6', [$layer]), 201, 'another repository has room');
    is_status($registry->delete('/v2/team/app/manifests/v2'), 202, 'a tag goes');
    is_status($registry->put_manifest('team/app', 'v6', $other), 201, '... and another may come');
    is_full($registry->put_manifest('team/app', 'v7', $other), 403, 'DENIED', '--max-tags', '... but one');
    is_status($registry->delete("/v2/team/app/manifests/$digest"), 202, 'a manifest goes, with v1, v5 and v6');
    is(tags($registry, 'team/app'), 2, '... so two tags are left');
    is_status($registry->push_image('team/app', "w$_", [$layer], note => "w$_"), 201, "... and room for $_") for 1 .. 3;
    is_full($registry->push_image('team/app', 'w4', [$layer], note => 'w4'), 403, 'DENIED', '--max-tags', '... and no more');
    my $large = $other =~ s/\}\z/',"annotations":{"x":"' . 'x' x 100_000 . '"}}'/er;
    is_full($registry->put_manifest('team/app', 'large', $large), 403, 'DENIED', '--max-tags', '... a large one neither');
    is_deeply([ $registry->blob_files(digest($large)) ], [], '... and leaves no file');
    $registry->stop;

    $registry = Registry->start(dir => $registry->dir, args => [ '--max-tags', 20 ]);
    my ($config, $manifest) = $registry->image_of([$layer]);
    $registry->push_blob('team/app', $_) for $config, $layer;
    my @got = in_parallel(8, 40, sub ($i) {
        return scalar grep { $registry->put_manifest('team/app', "x$i-$_", $manifest)->status == 201 } 1 .. 5;
    });
    my $n = 0;
    $n += $_ for @got;
    is($n, 15, 'after a restart with room for 15, eight at once get 15') or diag("@got");
    is(tags($registry, 'team/app'), 20, '... and there are 20');
    $registry->push_blob('team/same', $_) for $config, $layer;
    is_deeply([ in_parallel(8, 40, sub ($i) { $registry->put_manifest('team/same', 'v1', $manifest)->status }) ],
        [ (201) x 8 ], 'eight times the same new tag');
    my @more = map { $registry->put_manifest('team/same', "m$_", $manifest)->status } 1 .. 20;
    is_deeply(\@more, [ (201) x 19, 403 ], '... is one tag');
};

subtest '--max-uploads' => sub {
    my $registry = Registry->start(
        user => 'ann:secret',
        args => [ '--user', 'ann:secret', '--user', 'bob:second', '--max-uploads', 3, '--upload-expiry', '4s' ],
    );
    my $bob    = $registry->with(user => 'bob:second');
    my @places = map { $registry->start_upload("team/r$_") } 1 .. 3;
    is(scalar(grep { defined } @places), 3, 'three uploads');
    my $fourth = $registry->post('/v2/team/r1/blobs/uploads/', body => '');
    is_full($fourth, 429, 'TOOMANYREQUESTS', '--max-uploads', 'a fourth');
    like($fourth->header('Retry-After') // '', qr/^[1-9]\d*$/, '... later');
    is_full($registry->push_blob('team/r1', $layer, way => 'post'), 429, 'TOOMANYREQUESTS', '--max-uploads', '... all in one');
    my $mount = $registry->post('/v2/team/r1/blobs/uploads/?mount=' . digest('none'), body => '');
    is_full($mount, 429, 'TOOMANYREQUESTS', '--max-uploads', '... a mount that becomes one');
    is_status($bob->push_image('team/bob', 'v1', [$layer]), 201, 'another user has room');
    is_status($registry->patch($places[0], body => 'abc'), 202, 'those that are there go on');
    is_status($registry->put($registry->with_digest($places[0], digest('abc')), body => ''), 201, '... one is finished');
    ok($places[0] = $registry->start_upload('team/r1'), '... and another may come');
    is_status($registry->delete($places[1]), 204, 'one is cancelled');
    ok($places[1] = $registry->start_upload('team/r1'), '... and another may come');
    is_status($registry->put($registry->with_digest($places[1], digest('other')), body => 'x'), 400, 'one has another digest');
    ok($places[1] = $registry->start_upload('team/r1'), '... and another may come');
    is_full($registry->post('/v2/team/r1/blobs/uploads/', body => ''), 429, 'TOOMANYREQUESTS', '--max-uploads', 'but no more');
    ok(wait_for(40, sub { defined $registry->start_upload('team/r1') }), 'those that nobody goes on with expire');
    $registry->stop;

    $registry = Registry->start(dir => $registry->dir, user => 'ann:secret', args => [ '--user', 'ann:secret', '--max-uploads', 10 ]);
    ok(wait_for(20, sub { $registry->push_blob('team/r1', 'y')->status == 201 }), 'a restart');
    my @got = in_parallel(8, 40, sub ($i) { return [ grep { defined } map { $registry->start_upload('team/r1') } 1 .. 4 ] });
    my @open = map { @$_ } @got;
    cmp_ok(scalar @open, '<=', 10, 'eight at once get no more than ten');
    cmp_ok(scalar @open, '>=', 7,  '... and those that are left');
    is_deeply([ in_parallel(8, 40, sub ($i) {
        return [ map { $registry->delete($open[$_])->status } grep { $_ % 8 == $i } 0 .. $#open ] })
        ], [ map { my $i = $_; [ map { 204 } grep { $_ % 8 == $i } 0 .. $#open ] } 0 .. 7 ], 'all are cancelled');
    my @again = grep { defined } map { $registry->start_upload('team/r1') } 1 .. 12;
    cmp_ok(scalar @again, '>=', scalar @open, '... which makes room for as many');
    cmp_ok(scalar @again, '<=', 10, '... and no more');
};

subtest 'what a request may be' => sub {
    my $registry = Registry->start(args => [ '--max-blob-size', '1M' ]);
    my $head     = "Host: x\r\nConnection: close\r\n";
    my $many     = join '', map { "X-$_: y\r\n" } 1 .. 200;
    is_status($registry->raw("GET /v2/ HTTP/1.1\r\n$head$many\r\n"), 200, '200 headers');
    is_error($registry->raw("GET /v2/ HTTP/1.1\r\n$head" . ($many x 50) . "\r\n"), 431, qr/./, '10000 headers');
    is_error($registry->raw("GET /v2/ HTTP/1.1\r\n${head}X: " . 'y' x 25_000 . "\r\n\r\n"), 431, qr/./, 'a header of 25 KB');
    is_status($registry->raw("GET /v2/ HTTP/1.1\r\n${head}X: " . 'y' x 23_000 . "\r\n\r\n"), 200, '... of 23 KB');
    is_error($registry->get('/v2/?' . 'x' x 25_000), 414, qr/./, 'a query of 25 KB');
    is_status($registry->get('/v2/?' . 'x' x 23_000), 200, '... of 23 KB');
    is_error($registry->get('/v2/?' . 'x&' x 100), 414, qr/./, '100 parameters');
    is_error($registry->put('/v2/a/manifests/b', body => 'x' x ((4 << 20) + 1)), 413, 'SIZE_INVALID', 'a manifest of more than 4 MiB');
    like($registry->put('/v1/images/' . 'a' x 64 . '/json', body => 'x' x ((4 << 20) + 1))->content, qr/4 MiB, a blob 1048576 bytes \(--max-blob-size/,
        '... of the first API, which names the limits, too');
    is_status($registry->push_blob('a/b', cheap_bytes(1 << 20), way => $_), 201, "a blob of 1 MiB by $_") for qw(patch put post);
    is_error($registry->push_blob('a/b', cheap_bytes((1 << 20) + 1), way => $_), 413, 'SIZE_INVALID', "... and a byte by $_")
        for qw(patch put post);
    my $place = $registry->start_upload('a/b');
    is_status($registry->patch($place, body => cheap_bytes(1 << 20)), 202, 'in pieces: 1 MiB');
    is_error($registry->patch($place, body => 'x'), 413, 'SIZE_INVALID', '... and a byte');
    is_status($registry->get($place), 404, '... which ends the upload');
    is_tidy($registry);
};

finish();
