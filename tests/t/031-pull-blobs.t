# A blob is served as nginx serves files: whole, in parts, by HEAD, to slow readers; with its digest as ETag.
use v5.36;
use Registry limit => 90;
use Registry::Checks;
use Registry::Tools;
use Test::More;

my $registry = Registry->start(args => [ '--workers', '2', '--bulk-workers', '1' ]);
my $bytes    = random_bytes(1_000_000);
my $digest   = digest($bytes);
my $path     = "/v2/team/app/blobs/$digest";
is_status($registry->push_blob('team/app', $bytes), 201, 'a blob is pushed');

my %wanted = (
    'Content-Type'                    => 'application/octet-stream',
    'Content-Length'                  => 1_000_000,
    'Docker-Content-Digest'           => $digest,
    'ETag'                            => qq("$digest"),
    'Accept-Ranges'                   => 'bytes',
    'Docker-Distribution-Api-Version' => 'registry/2.0',
    'X-Content-Type-Options'          => 'nosniff',
);

subtest 'GET and HEAD' => sub {
    is_status(my $get  = $registry->get($path),  200, 'GET',  %wanted);
    is_status(my $head = $registry->head($path), 200, 'HEAD', %wanted);
    is($get->content, $bytes, 'the bytes');
    my %differ = map { $_ => 1 } qw(date connection);
    my @names  = grep { !$differ{$_} } keys %{ { %{ $get->{headers} }, %{ $head->{headers} } } };
    for my $name (sort @names) {
        is($head->header($name), $get->header($name), "$name is the same");
    }
    ok(!(grep { /^x-accel/ } @names), 'nothing internal gets out');
    is_status($registry->get("$path?unknown=1"), 200, 'an unknown parameter');
    is_status($registry->get($path =~ s/:/%3A/r), 200, 'an escaped colon');
};

# Large blobs are sent by nginx, small ones by a worker, and each part of one by nginx again.
subtest 'a small blob is like a large one' => sub {
    my $small  = random_bytes(8192);
    my $name   = digest($small);
    my %of     = (%wanted, 'Content-Length' => 8192, 'Docker-Content-Digest' => $name, 'ETag' => qq("$name"));
    my $at     = "/v2/team/app/blobs/$name";
    is_status($registry->push_blob('team/app', $small), 201, 'a blob of 8 KiB is pushed');
    is_status(my $get  = $registry->get($at),  200, 'GET',  %of);
    is_status(my $head = $registry->head($at), 200, 'HEAD', %of);
    is($get->content, $small, 'the bytes');
    my $large = $registry->get($path);
    is_deeply([ sort keys %{ $_->{headers} } ], [ sort keys %{ $large->{headers} } ], 'the same headers') for $get, $head;
    my $part = $registry->get($at, headers => { Range => 'bytes=100-199' });
    is_status($part, 206, 'a part', 'Content-Length' => 100, map { $_ => $get->header($_) } 'ETag', 'Last-Modified', 'Cache-Control');
    is($part->content, substr($small, 100, 100), '... its bytes');
    is_status($registry->get($at, headers => { 'If-None-Match' => qq("$name") }), 304, 'the same digest again');
};

subtest 'a blob whose file is gone' => sub {
    for my $size (100, 100_000) {
        my $gone = random_bytes($size);
        my $at   = '/v2/team/app/blobs/' . digest($gone);
        is_status($registry->push_blob('team/app', $gone), 201, "$size bytes are pushed");
        my ($file) = glob $registry->dir . '/layers/sha256/??/' . substr(digest($gone), 7) . '.*';
        unlink $file or die "unlink $file: $!";
        is_status($registry->get($at),  404, 'GET');
        is_status($registry->head($at), 404, 'HEAD');
    }
};

subtest 'parts' => sub {
    my @parts = (
        [ 'bytes=0-99',             0,       100 ],
        [ 'bytes=999900-',          999_900, 100 ],
        [ 'bytes=-100',             999_900, 100 ],
        [ 'bytes=500000-500000',    500_000, 1 ],
        [ 'bytes=999900-99999999',  999_900, 100 ],
        [ 'bytes=0-',               0,       1_000_000 ],
    );
    for my $part (@parts) {
        my ($range, $from, $length) = @$part;
        my $response = $registry->get($path, headers => { Range => $range });
        my $is       = sprintf 'bytes %d-%d/1000000', $from, $from + $length - 1;
        is_status($response, 206, $range, 'Content-Range' => $is, 'Content-Length' => $length, 'Docker-Content-Digest' => $digest);
        ok($response->content eq substr($bytes, $from, $length), '... the bytes');
    }
    is_error($registry->get($path, headers => { Range => 'bytes=500-0' }), 416, 'SIZE_INVALID', 'backwards');
    my $response = $registry->get($path, headers => { Range => 'bytes=1000000-' });
    is_error($response, 416, 'SIZE_INVALID', 'behind the end');
    is($response->header('Content-Range'), 'bytes */1000000', '... says how much there is');
    unlike($response->header('Cache-Control') // '', qr/max-age|immutable/, '... and nobody keeps that answer');
    is_status($registry->get($path, headers => { Range => 'bytes=0-9', 'If-Range' => qq("$digest") }), 206, 'If-Range, the same');
    is_status($registry->get($path, headers => { Range => 'bytes=0-9', 'If-Range' => '"other"' }), 200, 'If-Range, another');
    is_status($registry->get($path, headers => { Range => 'lines=0-9' }), 200, 'a range of something else');
    my $broken = $registry->get($path, headers => { Range => 'bytes=abc' });
    is_error($broken, 416, 'SIZE_INVALID', 'a broken range') if $broken->status != 200;
    unlike($broken->header('Cache-Control') // '', qr/max-age|immutable/, '... nobody keeps that answer') if $broken->status != 200;
};

# RFC 9110 15.3.7.2. Each part as [from, bytes].
sub parts_of ($response) {
    my ($boundary) = ($response->header('Content-Type') // '') =~ m{^multipart/byteranges; boundary=(\S+)$} or return;
    my @parts;
    my $body = $response->content;
    while ($body =~ m{\G\r\n--\Q$boundary\E\r\nContent-Type: application/octet-stream\r\nContent-Range: bytes (\d+)-(\d+)/1000000\r\n\r\n}gc) {
        my ($from, $length) = ($1, $2 - $1 + 1);
        push @parts, [ $from, substr $body, pos $body, $length ];
        pos($body) += $length;
    }
    return $body =~ m{\G\r\n--\Q$boundary\E--\r\n\z}gc ? @parts : ();
}

subtest 'several parts' => sub {
    my @many = map { [ $_ * 900, 10 + $_ % 50 ] } 0 .. 1023;
    my %sets = (
        'two'                      => [ [ 0,       10 ], [ 20, 10 ] ],
        'backwards'                => [ [ 500_000, 10 ], [ 20, 10 ] ],
        'that overlap'             => [ [ 0,       100 ], [ 50, 100 ], [ 0, 100 ] ],
        'that touch'               => [ [ 0,       10 ],  [ 10, 10 ] ],
        'a thousand and more'      => \@many,
    );
    for my $name (sort keys %sets) {
        my $range    = 'bytes=' . join ',', map { sprintf '%d-%d', $_->[0], $_->[0] + $_->[1] - 1 } @{ $sets{$name} };
        my $response = $registry->get($path, headers => { Range => $range });
        is_status($response, 206, "parts: $name (" . length($range) . ' bytes of header)', 'Docker-Content-Digest' => $digest, 'Content-Range' => undef);
        my @parts = parts_of($response);
        is(scalar @parts, scalar @{ $sets{$name} }, '... all of them');
        ok(!(grep { $_->[1] ne substr $bytes, $_->[0], length $_->[1] } @parts), '... with their bytes');
    }
    my $long = 'bytes=' . join ',', map { sprintf '%010d-%010d', $_ * 900, $_ * 900 + 9 } 0 .. 1023;
    cmp_ok(length $long, '>', 20_000, 'a header of 20 KB');
    is(scalar parts_of($registry->get($path, headers => { Range => $long })), 1024, '... is served');
    is_status($registry->get($path, headers => { Range => $_->[1] }), $_->[0], $_->[2]) for
        [ 206, 'bytes=0-9,2000000-',              'one of them exists' ],
        [ 416, 'bytes=2000000-,3000000-',         'none of them exists' ],
        [ 200, 'bytes=0-9,x',                     'one of them is nonsense' ],
        [ 200, 'bytes=' . join(',', ('0-') x 50), 'more bytes than there are' ],
        [ 200, 'bytes=' . join(',', ('5-6') x 1025), 'too many' ],
        [ 200, 'bytes=9-5,0-1',                   'one goes backwards' ];
    is_status($registry->get($path, headers => { Range => 'bytes=0-9,20-29', 'If-Range' => '"other"' }), 200, 'If-Range, another');
};

subtest 'what one has already' => sub {
    is_status($registry->get($path, headers => { 'If-None-Match' => qq("$digest") }), 304, 'If-None-Match', ETag => qq("$digest"));
    is_status($registry->get($path, headers => { 'If-None-Match' => '"other"' }), 200, '... of another');
    is_status($registry->head($path, headers => { 'If-None-Match' => qq("$digest") }), 304, '... with HEAD');
    is_status($registry->get($path, headers => { 'If-Modified-Since' => 'Fri, 01 Jan 2038 00:00:00 GMT' }), 200, 'no dates');
};

subtest 'the empty blob' => sub {
    is_status($registry->push_blob('team/app', ''), 201, 'pushed');
    my $empty = '/v2/team/app/blobs/' . digest('');
    is_status($registry->get($empty), 200, 'GET', 'Content-Length' => 0, 'Docker-Content-Digest' => digest(''));
    is_status($registry->head($empty), 200, 'HEAD', 'Content-Length' => 0);
    like($registry->get($empty, headers => { Range => "bytes=0-" })->status, qr{^(?:200|416)$}, "a part of nothing");
};

subtest 'what is not there' => sub {
    my $none = 'sha256:' . '0' x 64;
    is_error($registry->get("/v2/team/app/blobs/$none"), 404, 'BLOB_UNKNOWN', 'GET');
    is_status($registry->head("/v2/team/app/blobs/$none"), 404, 'HEAD');
    is_error($registry->get("/v2/team/other/blobs/$digest"), 404, qr/^(BLOB|NAME)_UNKNOWN$/, 'in a repository that is not there');
    $registry->push_blob('team/other', 'x');
    is_error($registry->get("/v2/team/other/blobs/$digest"), 404, 'BLOB_UNKNOWN', 'in a repository without it');
    is_error($registry->get("/v2/team/app/blobs/$_"), 400, 'DIGEST_INVALID', "no digest: $_")
        for 'sha256:12', 'latest', 'md5:' . '0' x 32, 'sha256:' . 'A' x 64;
};

subtest 'slow people hold up nobody' => sub {
    my $large = cheap_bytes(8_000_000);
    $registry->push_blob('team/app', $large);
    my @readers = map {
        my $connection = $registry->connect;
        $connection->send($registry->head_of('GET', '/v2/team/app/blobs/' . digest($large)));
        $connection;
    } 1 .. 20;
    my @writers = map {
        my $place      = $registry->start_upload('team/app');
        my $connection = $registry->connect;
        $connection->send($registry->head_of('PATCH', $place, headers => { 'Transfer-Encoding' => 'chunked' }));
        $connection->send_chunk('a' x 1000);
        [ $connection, $place ];
    } 1 .. 20;
    is_status($registry->with(timeout => 10)->get('/v2/'), 200, 'the API answers');
    is_status($registry->with(timeout => 10)->push_blob('team/app', random_bytes(500_000)), 201, 'a push goes through');
    is_status($registry->with(timeout => 10)->get($path), 200, 'a pull goes through');

    my @read = map { $_->response } @readers;
    is(scalar(grep { $_->status == 200 && $_->content eq $large } @read), 20, 'slow readers get all');
    my $done = 0;
    for my $writer (@writers) {
        my ($connection, $place) = @$writer;
        $connection->send_chunk($_) for 'b' x 1000, '';
        $done++ if $connection->response('PATCH')->status == 202;
        $registry->delete($place);
    }
    is($done, 20, 'slow writers get through');
};

subtest 'three hundred at once' => sub {
    my @connections = map { $registry->connect } 1 .. 300;
    $_->send($registry->head_of('HEAD', $path)) for @connections;
    my %statuses;
    $statuses{ $_->response('HEAD')->status }++ for @connections;
    is_deeply(\%statuses, { 200 => 300 }, 'all are answered');
};

subtest 'a file that somebody took away' => sub {
    my $lost = random_bytes(1000);
    $registry->push_blob('team/app', $lost);
    unlink map { $registry->dir . "/$_" } $registry->blob_files(digest($lost));
    my $response = $registry->get('/v2/team/app/blobs/' . digest($lost));
    is_error($response, [ 404, 503 ], qr/./, 'is told in the API\'s form');
    unlike($response->header('Cache-Control') // '', qr/max-age|immutable/, '... and nobody keeps that answer');
};

finish();
