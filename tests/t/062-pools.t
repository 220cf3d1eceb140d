# Nobody's long requests keep others waiting: lists, hashing and looking into images have workers of
# their own, and of those a client has only a part at once.
use v5.36;
use Registry limit => 300;
use Registry::Checks;
use Registry::Client ();
use Registry::Layers;
use Registry::Process;
use Registry::Tools;
use Registry::V1 ();
use IO::Select;
use IO::Socket::INET;
use Socket qw(IPPROTO_TCP SOL_SOCKET SO_RCVBUF TCP_MAXSEG);
use Test::More;

# Requests that nobody reads the answers of. The kernel holds little for them, as for a client that is far away.
sub readers ($client, $n, $path) {
    return map {
        my $socket = IO::Socket::INET->new(Proto => 'tcp') // die $!;
        setsockopt $socket, SOL_SOCKET, SO_RCVBUF, pack 'i', 4096;
        setsockopt $socket, IPPROTO_TCP, TCP_MAXSEG, pack 'i', 536;
        connect $socket, Socket::pack_sockaddr_in($client->port, Socket::inet_aton('127.0.0.1')) or die $!;
        print {$socket} $client->head_of('GET', $path);
        $socket->flush;
        $socket;
    } 1 .. $n;
}

# The statuses of those that have been answered.
sub answered (@sockets) {
    my @statuses;
    for my $socket (IO::Select->new(@sockets)->can_read(0)) {
        recv $socket, my $begin, 12, Socket::MSG_PEEK();
        push @statuses, substr $begin, 9, 3;
    }
    return @statuses;
}

sub with_annotations ($manifest, $n) {
    return $manifest =~ s/\}\s*$/',"annotations":{' . join(',', map { qq("k$_":"") } 1 .. $n) . '}}'/er;
}

subtest 'pulls, pushes and health need none of the other pools' => sub {
    my $registry = Registry->start(args => [ '--user', 'ann:secret' ], user => 'ann:secret', expected => qr/upstream/);
    my $layer    = random_bytes(1000);
    my ($config, $manifest) = $registry->image_of([$layer]);
    is_status($registry->push_image('a/b', 'v1', [$layer]), 201, 'an image');
    my @lists = ('/v2/_catalog', '/v2/a/b/tags/list', '/v2/a/b/referrers/' . digest($manifest), '/v1/search?q=a',
        '/v1/repositories', '/v1/repositories/a/b/tags', '/v1/repositories/a/b/images');
    is_status($registry->get($_), 200, $_) for @lists;

    my @stopped = map { $registry->children("worker $_") } qw(list browse bulk);
    kill 'STOP', @stopped;
    is_status($registry->with(timeout => 1)->get($_), 599, "$_ waits for a worker that is stopped") for @lists;
    is_status($registry->get('/healthz'), 200, 'health does not');
    is_status($registry->get('/v2/'), 200, '... nor a login');
    is_status($registry->get('/v2/a/b/manifests/v1'), 200, '... nor a manifest');
    is_status($registry->head('/v2/a/b/manifests/' . digest($manifest)), 200, '... nor its HEAD');
    is_status($registry->get('/v2/a/b/blobs/' . digest($layer)), 200, '... nor a blob');
    is_status($registry->get('/v1/repositories/a/b/tags/v1'), 200, '... nor a tag by the first API');
    is_status($registry->with(user => undef)->put('/v2/a/b/manifests/v2', body => $manifest), 401, '... nor the question who may push');
    ok($registry->start_upload('a/b'), '... nor the beginning of an upload');
    is_status($registry->put_manifest('a/b', 'v2', $manifest), 201, '... nor a tag');
    my $large = with_annotations($manifest, 10_000);
    my %type  = (headers => { 'Content-Type' => 'application/vnd.oci.image.manifest.v1+json' });
    cmp_ok(length $large, '>', 100_000, 'a large manifest');
    my $hasty = $registry->with(timeout => 1, user => 'ann:secret');
    is_status($hasty->put('/v2/a/b/manifests/v3', %type, body => $large), 599, '... waits for a worker that is stopped');
    is_status($hasty->put('/v2/a/b/manifests/v3', %type, body => $manifest, chunked => 1), 599, '... and so does one of unknown size');
    is_status($hasty->put('/v1/images/' . 'ab' x 32 . '/json', body => '{"id":"' . 'ab' x 32 . '","x":"' . 'x' x 100_000 . '"}'),
        599, '... and the large description of an image of the first API');
    kill 'CONT', @stopped;
    ok(wait_for(20, sub { $registry->get($lists[0])->status == 200 }), 'lists go on');
    is_status($registry->put('/v2/a/b/manifests/v3', %type, body => $large), 201, '... and the large manifest is pushed');
    is_status($registry->put('/v2/a/b/manifests/v4', %type, body => $manifest, chunked => 1), 201, '... and the one of unknown size');
};

subtest 'readers that read nothing' => sub {
    my $registry = Registry->start(args => [ '--user', 'ann:secret', '--user', 'bob:second' ], user => 'ann:secret');
    my $bob      = $registry->with(user => 'bob:second');
    push_layers($registry, 'a/b', 'v1', plain_layer(tar_of(map { "f file$_ " . cheap_bytes(8_000_000) } 1 .. 4)));
    ok(wait_for(30, sub { $registry->get('/v2/a/b/_image/v1/stat/file1')->status == 200 }), 'an image');

    my @readers = readers($registry, 16, '/v2/a/b/_image/v1/archive/');
    ok(wait_for(20, sub { answered(@readers) >= 4 }), 'sixteen readers of one user');
    is_status($bob->get('/v2/a/b/_image/v1/stat/file1'), 200, 'another user looks into the image');
    my @refused = grep { $_ == 429 } answered(@readers);
    cmp_ok(scalar @refused, '>=', 12, '... while the first user has three workers, and is told so');
    my $response = $registry->get('/v2/a/b/_image/v1/stat/file1');
    is_error($response, 429, 'TOOMANYREQUESTS', '... for a further request, too');
    like($response->header('Retry-After') // '', qr/^\d+$/, '... for now');
    is_status($registry->get('/v2/a/b/tags/list'), 200, '... but not in another pool');
    $_->close for @readers;
    ok(wait_for(20, sub { $registry->get('/v2/a/b/_image/v1/stat/file1')->status == 200 }), 'when they have gone, there is room');
};

subtest 'readers of long descriptions, who read nothing' => sub {
    my $registry = Registry->start(args => [ '--user', 'ann:secret', '--user', 'bob:second' ], user => 'ann:secret');
    my $bob      = $registry->with(user => 'bob:second', timeout => 5);
    my $v1       = Registry::V1->new($registry, user => 'ann:secret', https => 1);
    my $image    = Registry::V1::random_image();
    $image->{json} = qq({"id":"$image->{id}","created":"2014-05-13T16:53:20Z","comment":") . 'x' x 1_000_000 . '"}';
    $image->{payload} = Registry::V1::payload_of(@$image{qw(json layer)});
    is_status($_->[1], $_->[2], $_->[0]) for $v1->push_images('a/b', 'v1', $image);
    my $path = "/v1/images/$image->{id}/json";

    my @all = ($registry->get($path), $registry->get($path, body => 'x'));
    is_status($_, 200, 'an image with a long description', 'Content-Type' => 'application/json', 'Cache-Control' => 'no-cache',
        'X-Docker-Checksum' => $image->{payload}, 'X-Docker-Size' => length $image->{layer}) for @all;
    ok($_->content eq $image->{json}, '... which comes whole') for @all;
    is_status($registry->get($path, headers => { 'If-None-Match' => $all[0]->header('ETag') }), 304, '... or not at all');
    is_status($registry->head($path), 200, '... or without its body', 'Content-Length' => length $image->{json});
    is_status($registry->with->get($path), 401, '... and not to strangers');
    is_status($registry->get($_), 404, "the way inside is closed: $_") for '/_registry_main/long', '/@registry_long_main', '/_registry_main/@registry_long_main';

    my @readers = readers($registry, 64, $path);
    ok(wait_for(20, sub { answered(@readers) >= 4 }), 'sixty-four readers of one user');
    my $slowest = 0;
    for (1 .. 10) {
        for my $short ('/healthz', '/v2/', '/v1/repositories/a/b/tags/v1', '/v2/a/b/tags/list') {
            my $begin = time;
            is_status($bob->get($short), 200, "another user asks for $short");
            $slowest = time - $begin if time - $begin > $slowest;
        }
    }
    cmp_ok($slowest, '<=', 3, '... and waits for none of them');
    $_->close for @readers;
    ok(wait_for(20, sub { $registry->get($path)->status == 200 }), 'when they have gone, there is room');
};

subtest 'short requests of one client' => sub {
    my $registry = Registry->start;
    push_layers($registry, 'a/b', 'v1', gzip_layer(tar_of('f file text')));
    ok(wait_for(30, sub { $registry->get('/v2/a/b/_image/v1/stat/file')->status == 200 }), 'an image');
    for my $path ('/v2/a/b/tags/list', '/v2/a/b/_image/v1/tree/') {
        my @got = in_parallel(12, 60, sub ($i) { return [ map { $registry->get($path)->status } 1 .. 30 ] });
        is_deeply([ map { @$_ } @got ], [ (200) x 360 ], "many at once, and none is refused: $path");
    }
};

subtest 'pushes that wait for a hook' => sub {
    my $wait     = tempdir() . '/wait';
    my $registry = Registry->start(
        args => [ '--user', 'ann:secret', '--user', 'bob:second', '--pre-hook-timeout', '60s',
            '--on-pre-tag', qq([ "\$REGISTRY_TAG" != slow ] || while [ -e '$wait' ]; do sleep 0.1; done) ],
        user => 'ann:secret',
    );
    my $bob = $registry->with(user => 'bob:second');
    my (undef, $manifest) = $registry->image_of([]);
    is_status($registry->push_image('a/b', 'fast', []), 201, 'an image');
    spew($wait, '');
    my @got = in_parallel(10, 80, sub ($i) {
        return $registry->put_manifest('a/b', 'slow', $manifest)->status if $i > 0;
        wait_for(20, sub { my @asked = grep { /sleep|while/ } map { Registry::Process::command_of($_) } $registry->processes; @asked >= 3 });
        sleep 8; # longer than a client may wait for its own requests
        my $status = $bob->put_manifest('a/b', 'fast', $manifest)->status;
        unlink $wait;
        return $status;
    });
    is(shift @got, 201, 'another user is let through while they wait');
    # Those that come late enough find the hooks done.
    my $through = grep { $_ == 201 } @got;
    my $refused = grep { $_ == 429 } @got;
    is($through + $refused, 9, '... and the first one is told so');
    cmp_ok($through, '>=', 3, '... whose requests have three workers');
    cmp_ok($refused, '>=', 1, '... and no more');
};

subtest 'checksums of the first API that take long' => sub {
    my @users    = qw(ann:secret bob:second);
    my $registry = Registry->start(args => [ '--watchdog', '10m', map { ('--user', $_) } @users ], user => $users[0]);
    my $bob      = $registry->with(user => $users[1]);
    my ($v1, $bobs_v1) = map { Registry::V1->new($registry->with(user => $_), user => $_, https => 1) } @users;

    # Some seconds of work: a large file, well compressed.
    my $image = Registry::V1::random_image();
    my $file  = tar_entry(name => 'zeros', format => 'gnu', size => 160 * 16_000_000);
    $image->{layer}   = gzip_of($file) . gzip_of("\0" x 16_000_000, 1) x 160 . gzip_of(tar_end());
    $image->{payload} = Registry::V1::payload_of(@$image{qw(json layer)});
    my $small = Registry::V1::random_image();
    is_status($_, 200, 'a JSON or a layer') for map { ($_->[0]->put_json($_->[1]), $_->[0]->put_layer($_->[1])) } [ $v1, $image ], [ $bobs_v1, $small ];

    # The processes that compute sums, each of which a worker waits for, are stopped.
    my $stopped = sub {
        my @sums = map { children_of($_) } $registry->children('worker');
        kill 'STOP', @sums;
        return grep { slurp("/proc/$_/stat") =~ /\) T / } @sums;
    };
    my $slow = sub { return $v1->put_checksum($image, tarsum => 'tarsum+sha256:' . '0' x 64)->status };
    my @got  = in_parallel(13, 120, sub ($i) {
        return $slow->() if $i > 0;
        wait_for(30, sub { $stopped->() >= 3 });
        my @statuses = (
            $slow->(), $registry->get('/healthz')->status, $bobs_v1->put_checksum($small)->status,
            $bob->push_image('bob/x', 'v1', [ random_bytes(1000) ])->status, $bobs_v1->push_image(Registry::V1::random_image()),
        );
        my @sums = $stopped->();
        kill 'KILL', @sums;
        return [ (map { ref $_ ? $_->[1]->status : $_ } @statuses), scalar @sums ];
    });
    is_deeply(shift @got, [ 429, 200, 200, 201, 200, 200, 200, 3 ],
        'while three are computed, the user is refused a further one; another user is answered checksums and pushes');
    is(scalar(grep { /^(?:200|400|429)$/ } @got), 12, '... and all are answered, in the end');
};

subtest 'configs that take long to read' => sub {
    my $registry = Registry->start(args => [ '--user', 'ann:secret' ], user => 'ann:secret');
    my $v1       = Registry::V1->new($registry, user => 'ann:secret', https => 1);

    # An index of images that names no platforms; the configs of the images have that much more.
    my $push_index = sub ($n, $more) {
        my @images = map {
            my $config   = json_of({ architecture => 'amd64', os => 'linux', n => $_, more => $more, rootfs => { type => 'layers', diff_ids => [] } });
            my $manifest = json_of({ schemaVersion => 2, mediaType => $Registry::Client::TYPE{manifest}, config => $registry->descriptor('config', $config), layers => [] });
            $registry->push_blob('a/b', $config);
            is_status($registry->put_manifest('a/b', "v$_", $manifest), 201, '... and its image');
            $registry->descriptor('manifest', $manifest);
        } 1 .. $n;
        my $index = json_of({ schemaVersion => 2, mediaType => $Registry::Client::TYPE{index}, manifests => \@images });
        is_status($registry->put_manifest('a/b', 'index', $index), 201, 'an index of them');
        return substr digest($index), 7;
    };
    my $id = $push_index->(12, [ (1) x 60000 ]);
    my @got = in_parallel(9, 120, sub ($i) {
        return $registry->get('/healthz')->status if $i == 8;
        return [ map { $v1->get("/v1/images/$id/json?platform=linux/s390x")->status } 1 .. 5 ];
    });
    is(pop @got, 200, 'health, while their platforms are asked for');
    is_deeply([ map { @$_ } @got ], [ (413) x 40 ], '... which would be too much to read');
    is_error($registry->get('/v2/a/b/_image/index/tree/?platform=linux/amd64'), 413, 'SIZE_INVALID', '... for looking into them, too');
    is_status($registry->get("/v2/a/b/manifests/v$_"), 200, '... but each can be pulled') for 1, 12;

    $id = $push_index->(3, [ (1) x 9000 ]);
    is_status($v1->get("/v1/images/$id/json?platform=linux/amd64"), 200, 'images whose configs have fewer values are found');
    is_status($v1->get("/v1/images/$id/json?platform=linux/s390x"), 404, '... or not');
    $id = $push_index->(3, [ (1) x 10001 ]);
    is_status($v1->get("/v1/images/$id/json?platform=linux/amd64"), 404, 'those with more values have no platform');
};

subtest 'documents that take long to read' => sub {
    my $registry = Registry->start(args => [ '--user', 'ann:secret' ], user => 'ann:secret', expected => qr/upstream/);
    my $v1       = Registry::V1->new($registry, user => 'ann:secret', https => 1);

    # Of the large image the config has 0.9 MB, and of the huge one the manifest has 3 MB.
    my %large_config   = (more => [ map { $_ . 'x' x 95 } 1 .. 9000 ]);
    my %large_manifest = (annotations => { map { ("k$_" => 'x' x 95) } 1 .. 30_000 });
    my $push = sub ($tag, $more = {}, $also = {}) {
        my $layer    = gzip_layer(tar_of("f file $tag"));
        my $config   = json_of({ architecture => 'amd64', os => 'linux', tag => $tag, %$more, rootfs => { type => 'layers', diff_ids => [ $layer->{diff_id} ] } });
        my $manifest = json_of({
            schemaVersion => 2, mediaType => $Registry::Client::TYPE{manifest}, %$also,
            config => $registry->descriptor('config', $config), layers => [ $registry->descriptor('layer_gzip', $layer->{blob}) ],
        });
        is_status($registry->push_blob('a/b', $_), 201, "a part of the image $tag") for $config, $layer->{blob};
        is_status($registry->put_manifest('a/b', $tag, $manifest), 201, '... and its manifest');
        my $id   = substr digest($config), 7;
        my $base = "/v1/images/$id";
        ok(wait_for(30, sub { $registry->get("$base/json")->status == 200 }), '... which the first API shows');
        my $tags = '/v1/repositories/a/b/tags';
        return (
            manifest => $manifest,
            reads    => [ map({ [ GET => $_ ] } "$base/json", "$base/ancestry", "$base/layer", "$tags/$tag?platform=linux/amd64"), map({ [ HEAD => $_ ] } "$base/json", "$base/layer") ],
            pushes   => [ [ PUT => "/v2/a/b/manifests/$tag-again", $manifest ], [ PUT => "$tags/$tag-too", qq("$id") ] ],
            delete   => [ DELETE => '/v2/a/b/manifests/' . digest($manifest) ],
        );
    };
    my %small = $push->('small');
    my %large = $push->('large', \%large_config);
    my %huge  = $push->('huge', {}, \%large_manifest);
    my $ask   = sub ($client, $what) {
        my ($method, $path, $body) = @$what;
        return $client->request($method, $path, defined $body ? (body => $body, headers => { 'Content-Type' => $Registry::Client::TYPE{manifest} }) : ());
    };
    my $text    = sub ($what) { return "$what->[0] $what->[1]" };
    my @reads   = map { @{ $_->{reads} } } \%large, \%huge;
    my @pushes  = (@{ $large{pushes} }, $huge{pushes}[1]);
    my @before  = map { $ask->($registry, $_) } @reads;
    is_status($before[$_], 200, $text->($reads[$_])) for 0 .. $#reads;
    like($before[0]->json->{more}[8999], qr/^9000x+$/, 'the large config is shown');

    my $while_stopped = sub ($what, $pools, $requests) {
        my @stopped = map { $registry->children("worker $_") } @$pools;
        kill 'STOP', @stopped;
        is_status($ask->($registry->with(timeout => 1, user => 'ann:secret'), $_), 599, "$what waits for another pool: " . $text->($_)) for @$requests;
        is_status($registry->get('/healthz'), 200, '... and health does not');
        is_status($registry->get("/v2/a/b/manifests/$_"), 200, "... nor a pull of $_") for qw(small large huge);
        is_status($ask->($registry, $_), 200, '... nor this: ' . $text->($_)) for @{ $small{reads} };
        kill 'CONT', @stopped;
    };
    $while_stopped->('what reads much', ['list'], \@reads);
    ok(wait_for(20, sub { $ask->($registry, $reads[0])->status == 200 }), 'then the other pool goes on');
    my @after = map { $ask->($registry, $_) } @reads;
    for my $i (0 .. $#reads) {
        is_status($after[$i], 200, 'the same as before: ' . $text->($reads[$i]));
        ok($after[$i]->content eq $before[$i]->content, '... in content');
    }
    $while_stopped->('a push that reads much', ['bulk'], \@pushes);
    is_status($ask->($registry, $_), $_->[1] =~ /^.v2/ ? 201 : 200, 'then done: ' . $text->($_)) for @pushes;
    is_status($registry->get("/v2/a/b/manifests/$_"), 200, "... as $_") for qw(large-again large-too huge-too);
    is_error($registry->put('/v2/a/b/manifests/x', body => $large{manifest}, headers => { 'Content-Type' => $Registry::Client::TYPE{manifest}, 'If-Match' => '"x"' }),
        412, 'PRECONDITION_FAILED', 'a condition counts there, too');
    is_status($registry->with->put('/v2/a/b/manifests/x', body => $large{manifest}), 401, '... and a password');
    $while_stopped->('a deletion that reads much', ['bulk'], [ $huge{delete} ]);
    ok(wait_for(20, sub { $registry->get('/v2/a/b/manifests/huge')->status == 404 }), 'then done');
};

subtest 'workers that are killed' => sub {
    my $wait     = tempdir() . '/wait';
    my $registry = Registry->start(
        args => [ '--user', 'ann:secret', '--hook-jobs', 4, '--pre-hook-timeout', '100s', '--on-pre-tag', "while [ -e '$wait' ]; do sleep 0.1; done" ],
        user => 'ann:secret', expected => qr/process died|upstream/,
    );
    my (undef, $manifest) = $registry->image_of([]);
    is_status($registry->push_image('a/b', 'v1', []), 201, 'an image');
    spew($wait, '');
    my $push = sub {
        my $connection = $registry->with(timeout => 100)->connect;
        my %headers    = ('Content-Type' => $registry->type_of($manifest), 'Content-Length' => length $manifest);
        $connection->send($registry->head_of('PUT', '/v2/a/b/manifests/v1', headers => \%headers) . $manifest);
        return $connection;
    };
    my $hooked  = sub { return grep { scalar(() = children_of($_)) } $registry->children('worker gate') };
    my $sockets = sub ($pid) { return scalar grep { (readlink // '') =~ /^socket:/ } glob "/proc/$pid/fd/*" };

    my @pushes = map { $push->() } 1 .. 3;
    ok(wait_for(30, sub { $hooked->() == 3 }), 'three workers wait for a hook');
    my %busy   = map { $_ => 1 } $hooked->();
    my ($idle) = grep { !$busy{$_} } $registry->children('worker gate');
    my $before = $sockets->($idle);
    push @pushes, $push->();
    ok(wait_for(30, sub { $sockets->($idle) > $before }), '... and the fourth for one of these');
    kill 'KILL', $idle, keys %busy;
    my @statuses = map { $_->response('PUT')->status } @pushes;
    is_deeply([ @statuses[0 .. 2] ], [ (503) x 3 ], 'a push whose worker is killed is told to come again');
    ok(wait_for(30, sub { $registry->children('worker gate') == 4 }), 'there are four again');

    @pushes = map { $push->() } 1 .. 3;
    ok(wait_for(30, sub { $hooked->() == 3 }), '... of which the client has three, as before');
    unlink $wait;
    is_status($_->response('PUT'), 201, '... whose pushes end well') for @pushes;
};

finish();
