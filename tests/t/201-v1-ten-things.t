# What servers of the first API get wrong most, and what clients do then.
use v5.36;
use Registry limit => 120;
use Registry::Checks;
use Registry::Tools;
use Registry::V1;
use Test::More;

my $registry = Registry->start;
my ($A, $B)  = (image('A sent'), image('B sent'));
my $v1       = Registry::V1->new($registry);
is_status($_->[1], $_->[2], $_->[0]) for $v1->push_images('foo/bar', 'latest', $A, $B);

# 1. docker from 1.8 on can't read a bare id.
is($registry->get('/v1/repositories/foo/bar/tags/latest')->content, qq("$B->{id}"), 'a tag is a JSON string');

# 2. docker decodes the answer into strings, and fails the push over anything else.
subtest 'already there' => sub {
    is_status(my $there = $v1->put_json($A), 409, 'is a conflict');
    is_deeply($there->json, { error => 'Image already exists' }, 'one string, exactly');
};

# 3. Go's clients unpack whatever says that it is packed.
subtest 'no encoding' => sub {
    for my $path ("/v1/images/$A->{id}/layer", "/v1/images/$A->{id}/json", '/v1/repositories') {
        my $got = $registry->get($path, headers => { 'Accept-Encoding' => 'gzip, deflate' });
        is_status($got, 200, $path, 'Content-Encoding' => undef, 'Transfer-Encoding' => undef);
    }
    is(length $registry->get("/v1/images/$A->{id}/layer")->content, 421, 'the layer as it was sent');
};

# 4. The checksum is over the bytes.
subtest 'JSON is kept byte for byte' => sub {
    is($registry->get("/v1/images/$_->{id}/json")->content, $_->{json}, 'escapes, and a newline at the end') for $A, $B;
    my $odd = random_image();
    $odd->{json} =~ s/^\{/{ \t"z" : 1.0e2 ,"a":"\\u00e9\\\/\xc3\xa9",/;
    $odd->{payload} = payload_of($odd->{json}, $odd->{layer});
    is_status($_->[1], $_->[2], $_->[0]) for $v1->push_image($odd);
    is($registry->get("/v1/images/$odd->{id}/json")->content, $odd->{json}, 'blanks, numbers and all');
};

# 5. Over HTTPS docker sends its password with each request, over HTTP with a few.
# 6. Nobody sends "Basic Og==", or a token that is empty.
subtest 'password, token, or nothing, on every route' => sub {
    my $closed = Registry->start(args => [ '--user', 'bob:secret' ]);
    my $bob    = Registry::V1->new($closed, user => 'bob:secret', https => 1);
    is_status($_->[1], $_->[2], "with a password: $_->[0]") for $bob->push_images('foo/bar', 'latest', $A, $B);
    my $token = $bob->{token};
    ok(length $token, 'a token came along');
    my @paths = ("/v1/images/$A->{id}/json", "/v1/images/$A->{id}/layer", "/v1/images/$A->{id}/ancestry", '/v1/repositories',
        map { "/v1/repositories/foo/bar/$_" } 'images', 'tags', 'tags/latest');
    my %no = ('an empty password' => 'Basic Og==', 'an empty token' => 'Token ', 'no token at all' => 'Token');
    for my $path (@paths) {
        is_status($closed->get($path, headers => { Authorization => "Token $token" }), 200, "$path with a token");
        is_v1_error($closed->get($path, headers => { Authorization => $no{$_} }), 401, "... with $_") for sort keys %no;
        is_status($registry->get($path, headers => { Authorization => $no{$_} }), 200, "... in an open one, with $_") for sort keys %no;
    }
    my $by_token = Registry::V1->new($closed, token => $token);
    is_status($_->[1], $_->[2], "by token: $_->[0]") for $by_token->push_image(random_image());
};

# 7. docker wants these statuses exactly, and where to go on from.
subtest 'statuses' => sub {
    my $image = random_image();
    is_status($v1->begin('foo/new', 'latest', $image), 200, 'a push begins', 'X-Docker-Endpoints' => qr/./, 'X-Docker-Token' => qr/./);
    is_status($_->[1], 200, $_->[0]) for $v1->push_image($image);
    is_status($v1->finish_push('foo/new'), 204, 'and ends', 'Content-Length' => undef);
};

# 8. The layer comes in chunks, and nobody says how long it is.
subtest 'chunks' => sub {
    for my $size (1, 13, 4096, 1 << 20) {
        my $image = random_image(undef, size => 5000);
        $v1->put_json($image);
        is_status($v1->put_layer($image, chunked => $size), 200, "of $size") if $size > 1;
        is_status($v1->put_layer($image, chunked => 0), 200, 'or with a length') if $size == 1;
        is_status($v1->put_checksum($image), 200, '... arrives');
    }
};

# 9. Who resumes names the length as the last byte.
subtest 'ranges' => sub {
    my $layer = $A->{layer};
    my $n     = length $layer;
    my %good  = ("bytes=100-$n" => [ 100, $n - 1 ], "bytes=0-$n" => [ 0, $n - 1 ], 'bytes=100-' => [ 100, $n - 1 ], 'bytes=5-9' => [ 5, 9 ],
        'bytes=-20' => [ $n - 20, $n - 1 ], "bytes=@{[ $n - 1 ]}-$n" => [ $n - 1, $n - 1 ], 'bytes=100-99999' => [ 100, $n - 1 ]);
    for my $range (sort keys %good) {
        my ($from, $to) = @{ $good{$range} };
        my $got = $registry->get("/v1/images/$A->{id}/layer", headers => { Range => $range });
        is_status($got, 206, $range, 'Content-Range' => "bytes $from-$to/$n", 'Content-Type' => 'application/octet-stream');
        is($got->content, substr($layer, $from, $to - $from + 1), '... the right bytes');
    }
    for my $range ("bytes=$n-$n", "bytes=$n-", "bytes=@{[ $n + 1 ]}-@{[ $n + 5 ]}") {
        is_status($registry->get("/v1/images/$A->{id}/layer", headers => { Range => $range }), 416, $range, 'Content-Length' => 0);
    }
    for my $range ('bytes=a-b', 'bytes=', 'lines=1-2', 'bytes=9-5', 'bytes=0-1,5-6', 'nonsense', 'bytes=--5') {
        my $got = $registry->get("/v1/images/$A->{id}/layer", headers => { Range => $range });
        is_status($got, 200, "ignored: $range", 'Content-Length' => $n);
    }
};

# 10. Today's engines ask the first API for pings and searches only.
subtest 'ping' => sub {
    for my $path ('/v1/_ping', '/_ping') {
        my $got = $registry->get($path);
        is_status($got, 200, $path, 'X-Docker-Registry-Version' => qr/./, 'X-Docker-Registry-Standalone' => qr/^true$/i);
        is($got->content, 'true', '... any JSON');
    }
};

# And docker asks for the ancestry of nothing when a tag lookup gave it nothing.
is_v1_error($registry->get('/v1/images//ancestry'), 404, 'the ancestry of nothing');

finish();
