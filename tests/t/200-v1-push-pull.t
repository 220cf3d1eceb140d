# Old docker's push and pull: the recorded conversations step by step and header by header, with the recorded
# images and with ones that nobody has seen; open, with a password over plain HTTP, and as over HTTPS.
use v5.36;
use Registry limit => 240;
use Registry::Checks;
use Registry::Tools;
use Registry::V1;
use Test::More;

my $registry = Registry->start;
my $HOST     = '127.0.0.1:' . $registry->port;
my $DONE     = '""';

sub are_steps (@steps) {
    my @wrong = map { "$_->[0]: " . $_->[1]->describe } grep { $_->[1]->status != $_->[2] } @steps;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    ok(!@wrong, scalar(@steps) . ' steps, each with its status') or diag($wrong[0]);
}

sub same_images ($pulled, @images) {
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    is_deeply([ map { $_->{id} } @{ $pulled->{images} } ], [ map { $_->{id} } @images ], 'the chain, from its base');
    my @other = grep { $pulled->{images}[$_]{json} ne $images[$_]{json} || $pulled->{images}[$_]{layer} ne $images[$_]{layer} }
        0 .. $#images;
    ok(!@other, 'JSON and layer of each, byte for byte');
    my @sizes = grep { $_->{size} != length $_->{layer} || $_->{payload} ne payload_of($_->{json}, $_->{layer}) } @{ $pulled->{images} };
    ok(!@sizes, 'and their size and checksum are announced');
}

subtest 'a recorded push, header by header' => sub {
    my ($A, $B) = (image('A sent'), image('B sent'));
    my $v1 = Registry::V1->new($registry);
    my %json = ('Content-Type' => 'application/json', 'X-Docker-Registry-Version' => qr/./);
    is_status($v1->get('/v1/_ping'), 200, 'ping', 'X-Docker-Registry-Standalone' => 'true', %json);
    my $begun = $v1->begin('foo/bar', 'latest', $A, $B);
    is_status($begun, 200, 'PUT repository', 'X-Docker-Endpoints' => $HOST, 'X-Docker-Token' => qr/./, %json);
    is($begun->content, $DONE, '... an empty string');
    is_status($v1->get_json($_->{id}), 404, 'GET json before', %json) for $A, $B;
    for my $image ($A, $B) {
        for my $step ($v1->push_image($image)) {
            is_status($step->[1], 200, $step->[0], 'Content-Length' => 2, %json);
            is($step->[1]->content, $DONE, '... an empty string');
        }
    }
    is_status(my $tagged = $v1->put_tag('foo/bar', 'latest', $B->{id}), 200, 'PUT tag', %json);
    is($tagged->content, $DONE, '... an empty string');
    is_status($v1->finish_push('foo/bar'), 204, 'PUT images', 'Content-Length' => undef);
};

subtest 'a recorded pull, header by header' => sub {
    my ($A, $B) = (image('A sent'), image('B sent'));
    my $v1 = Registry::V1->new($registry, version => '17.05');
    my %json = ('Content-Type' => 'application/json', 'X-Docker-Registry-Version' => qr/./);
    my $session = $v1->get('/v1/repositories/foo/bar/images', session => 1);
    is_status($session, 200, 'GET images', 'X-Docker-Endpoints' => $HOST, 'X-Docker-Token' => qr/./, %json);
    is($session->content, qq([{"id":"$A->{id}"},{"id":"$B->{id}"}]), '... from the base on');
    is_status(my $tag = $v1->get('/v1/repositories/foo/bar/tags/latest'), 200, 'GET tag', %json);
    is($tag->content, qq("$B->{id}"), '... a JSON string');
    is_status(my $tags = $v1->get('/v1/repositories/foo/bar/tags'), 200, 'GET tags', %json);
    is($tags->content, qq({"latest":"$B->{id}"}), '... an object');
    is_status(my $chain = $v1->get("/v1/images/$B->{id}/ancestry"), 200, 'GET ancestry', %json);
    is($chain->content, qq(["$B->{id}","$A->{id}"]), '... itself first');
    for my $image ($A, $B) {
        my $n = length $image->{layer};
        is_status(my $got = $v1->get_json($image->{id}), 200, 'GET json', 'X-Docker-Size' => $n,
            'X-Docker-Checksum' => $image->{payload}, 'X-Docker-Checksum-Payload' => $image->{payload}, %json);
        is($got->content, $image->{json}, '... byte for byte');
        is_status($got = $v1->get("/v1/images/$image->{id}/layer"), 200, 'GET layer', 'Content-Length' => $n,
            'Content-Type' => 'application/octet-stream', 'Content-Encoding' => undef, 'Accept-Ranges' => 'bytes',
            'X-Docker-Registry-Version' => qr/./, ETag => qr/^"sha256:\w{64}"$/);
        is($got->content, $image->{layer}, '... byte for byte');
    }
};

subtest 'the same again sends nothing' => sub {
    my @steps = Registry::V1->new($registry)->push_images('foo/bar', 'again', image('A sent'), image('B sent'));
    is(join(', ', map { $_->[0] } @steps), 'PUT repository, GET json, GET json, PUT tag, PUT images', 'no image');
    are_steps(@steps);
};

subtest 'who has it needs it not' => sub {
    my $A = image('A');
    for my $what ('json', 'layer', 'ancestry') {
        my $got = $registry->get("/v1/images/$A->{id}/$what");
        next if $what eq 'ancestry';
        is_status($registry->get("/v1/images/$A->{id}/$what", headers => { 'If-None-Match' => $got->header('ETag') }), 304, $what);
    }
};

subtest 'all kinds of layers' => sub {
    my @images = map { image($_) } qw(A B C E);
    my $other  = Registry->start;
    my $v1     = Registry::V1->new($other);
    are_steps($v1->push_images('deep/er/name/s', 'v1', @images));
    my $pulled = $v1->pull_images('deep/er/name/s', 'v1');
    are_steps(@{ $pulled->{steps} });
    same_images($pulled, @images);
    is_tidy($other);
};

subtest 'chains of up to 60' => sub {
    for my $n (1, 2, 17, 60) {
        my @images = random_chain($n, size => 3000);
        my $v1     = Registry::V1->new($registry, version => $n % 2 ? '17.05' : '1.6');
        are_steps($v1->push_images("chain/of-$n", 'latest', @images));
        my $pulled = $v1->pull_images("chain/of-$n", 'latest');
        are_steps(@{ $pulled->{steps} });
        same_images($pulled, @images);
    }
};

subtest 'a name without a namespace' => sub {
    my @images = random_chain(2);
    my $v1     = Registry::V1->new($registry);
    are_steps($v1->push_images('alone', 'v1', @images));
    for my $name ('alone', 'library/alone') {
        my $pulled = $v1->pull_images($name, 'v1');
        are_steps(@{ $pulled->{steps} });
        same_images($pulled, @images);
    }
    like($v1->get('/v1/repositories')->content, qr/"alone:v1":"$images[1]{id}"/, 'its short name is listed');
};

subtest 'with a password' => sub {
    my $closed = Registry->start(args => [ '--user', 'bob:secret' ]);
    my $nobody = Registry::V1->new($closed);
    is_v1_error($nobody->begin('foo/bar', 'latest', image('A')), 401, 'nobody pushes');
    is_v1_error($nobody->put_layer(image('A')), 401, '... not even a layer');
    my @flows = ([ 'plain HTTP', 'foo/plain' ], [ 'as over HTTPS', 'foo/https', https => 1 ],
        [ 'plain HTTP, 17.05', 'foo/new', version => '17.05' ]);
    for my $flow (@flows) {
        my ($what, $repository, %o) = @$flow;
        my @images = random_chain(3);
        my $v1     = Registry::V1->new($closed, user => 'bob:secret', %o);
        are_steps($v1->push_images($repository, 'latest', @images));
        my $pulled = $v1->pull_images($repository, 'latest');
        are_steps(@{ $pulled->{steps} });
        same_images($pulled, @images);
        is_v1_error($nobody->get("/v1/images/$images[0]{id}/$_"), 401, "$what: nobody reads $_") for qw(json layer ancestry);
    }
    is_tidy($closed);
};

subtest 'reading by other paths' => sub {
    my $B = image('B sent');
    my @paths = ("/v1/images/$B->{id}/json", "/v1/images/$B->{id}/layer", "/v1/images/$B->{id}/ancestry", '/v1/repositories',
        '/v1/repositories/foo/bar/images', '/v1/repositories/foo/bar/tags', '/v1/repositories/foo/bar/tags/latest');
    for my $path (@paths) {
        my $got = $registry->get($path);
        is_status($registry->get("$path/"), 200, "$path/", 'Content-Length' => $got->header('Content-Length'));
        my $head = $registry->head($path);
        is_status($head, 200, "HEAD $path", map { $_ => $got->header($_) } 'Content-Length', 'Content-Type', 'X-Docker-Size', 'ETag');
        is($head->content, '', '... without a body');
    }
    my $short = substr $B->{id}, 0, 12;
    is($registry->get("/v1/images/$short/json")->content, $B->{json}, 'a short id is enough');
    is_v1_error($registry->get('/v1/images/' . substr($short, 0, 3) . '/json'), 404, '... but not three digits');
};

is_tidy($registry);
finish();
