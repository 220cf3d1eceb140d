# Work for strangers is bounded: no body before the decision, so many requests at once, and half-sent ones end soon.
use v5.36;
use Registry limit => 180;
use Registry::Checks;
use Registry::Tools;
use Test::More;
use Time::HiRes qw(sleep time);

my $HALF = $ENV{REGISTRY_HALF_SENT} // 600;    # half-sent requests
my $id   = 'ab' x 32;

# The answer to a request that announces 4 MiB and sends the beginning of it.
sub begin ($client, $method, $path, %headers) {
    my $connection = $client->connect // return;
    $connection->send($client->head_of($method, $path, headers => { 'Content-Length' => 4 << 20, %headers }) . 'x' x 1000);
    return $connection;
}

subtest 'the decision comes before the body' => sub {
    my $registry = Registry->start(args => [ '--user', 'ann:secret', '--user', 'bob:secret' ], user => 'ann:secret');
    my $nobody   = $registry->with(user => undef);
    my @requests = (
        [ PUT => '/v2/a/manifests/x' ],         [ POST => '/v2/a/manifests/x' ], [ PUT => '/v2/nothing/here' ],
        [ PUT => "/v1/images/$id/json" ],       [ PUT => "/v1/images/$id/layer" ], [ PUT => "/v1/images/$id/checksum" ],
        [ PUT => '/v1/repositories/a/tags/x' ], [ PUT => '/v1/repositories/a/' ], [ POST => '/v1/users' ],
        [ GET => '/v2/_catalog' ], [ DELETE => '/v2/a/manifests/x' ], [ PATCH => '/v1/nothing' ],
    );
    for my $request (@requests) {
        my $path = $request->[1];
        for my $authorization (undef, 'Token x', 'Bearer x', 'Basic Og==', 'nonsense') {
            my $connection = begin($nobody, @$request, defined $authorization ? (Authorization => $authorization) : ());
            my $response   = $connection->response;
            is_status($response, 401, "$request->[0] $path, " . ($authorization // 'without a password'));
            like($response->header('WWW-Authenticate') // '', qr/^(?:Basic|Token|Bearer realm)/, '... with a challenge');
        }
        my $large = $nobody->request(@$request, body => 'x' x (4 << 20));
        is_status($large, 401, "... all of it");
    }
    my @bodies = split /\n/, run([ 'find', $registry->dir . '/uploads', '-type', 'f' ])->{out};
    is(scalar @bodies, 0, 'nothing of it is on the disk');
    is_status($registry->push_image('team/app', 'v1', [ random_bytes(100) ]), 201, 'a user pushes');
    is_status($registry->with(user => 'bob:secret')->get('/v2/team/app/manifests/v1'), 200, '... and another one pulls');
    is_status($registry->request(OPTIONS => '/v2/a/manifests/x', body => 'x' x 5_000), 413, 'OPTIONS has no large body');
    is_status($registry->with(user => undef)->request(GET => $_, body => 'x' x 5_000), 413, "... nor has $_")
        for '/v1/_ping', '/healthz', '/v2/a/_image/x/tree/', '/v1/images/' . 'ab' x 32 . '/tree/';
};

subtest 'one address has so many requests at once' => sub {
    my $registry = Registry->start(args => [ '--max-connections-per-address', '5' ]);
    my @held     = map { $registry->hold(PUT => '/v2/a/manifests/x') } 1 .. 5;
    my $refused = $registry->get('/v2/');
    is_error($refused, 429, 'TOOMANYREQUESTS', 'one more is refused by the second API');
    like($refused->content, qr/may have 5 requests at the same time \(--max-connections-per-address/, '... which names the limit');
    is_v1_error($registry->get('/v1/search'), 429, '... by the first');
    like($registry->get('/v2/')->header('Retry-After') // '', qr/^\d+$/, '... for now');
    is_status($registry->get($_), 200, "$_ is answered") for '/healthz', '/_ping';
    $_->close for @held;
    ok(wait_for(10, sub { $registry->get('/v2/')->status == 200 }), 'when they have gone, there is room');
};

subtest 'without the limit' => sub {
    my $registry = Registry->start(args => [ '--max-connections-per-address', '0' ]);
    my @held     = map { $registry->hold(PUT => '/v2/a/manifests/x') } 1 .. 60;
    is_status($registry->get('/v2/'), 200, 'others are answered');
};

subtest 'what clients cause fills no log' => sub {
    my $registry = Registry->start(args => [ '--user', 'ann:secret' ]);
    my $wrong    = $registry->with(user => 'ann:wrong');
    for (1 .. 5) {
        my @connections = map { $wrong->connect } 1 .. 60;
        $_->send($wrong->head_of('GET', '/v2/')) for @connections;
        $_->response for @connections;
    }
    my @lines;
    wait_for(10, sub { (@lines = $registry->logged(qr/wrong password/)) >= 3 });
    is(scalar @lines, 3, 'of 300 wrong passwords the first one is in the log, then 10, then 100') or diag(@lines);
    like($lines[0], qr/^time=[-\dT:.]{23}Z level=warn msg="wrong password" user=ann address=127\.0\.0\.1 times=1$/, '... with time, name and address');
    unlike($registry->log, qr/password mismatch/, '... and not in nginx\'s words');
    for (1 .. 300) {
        my $connection = begin($registry, PUT => '/v2/a/manifests/x', 'Content-Length' => 5 << 20);
        $connection->response;
    }
    my $large = () = $registry->log =~ /too large body/g;
    cmp_ok($large, '>=', 90,  'some of 300 large bodies are in the log');
    cmp_ok($large, '<=', 102, '... and not all');
    ok(wait_for(20, sub { $registry->log =~ /clients caused more lines than are logged" left_out=\d{3}/ }), '... the others are counted');
    ok(wait_for(70, sub { $registry->log =~ /wrong password" user=ann address=127\.0\.0\.1 times=189\n/ }), '... as are the other passwords, each minute');
    cmp_ok(length $registry->log, '<', 100_000, 'the log is short');
};

subtest "$HALF half-sent requests" => sub {
    my $registry = Registry->start;
    my @half;
    for (1 .. $HALF) {
        my $connection = $registry->connect // last;
        $connection->send("GET /v2/ HTTP/1.1\r\nHost: x\r\nX-");
        push @half, $connection;
    }
    is(scalar @half, $HALF, 'are open');
    my $begun = time;
    is_status($registry->get('/healthz'), 200, '/healthz is answered');
    my $last  = pop @half;
    my $ended = sub { my $r = ''; vec($r, fileno $last->{socket}, 1) = 1; select($r, undef, undef, 0) };
    ok(!$ended->(), '... while they are open');
    ok(wait_for(30, $ended), 'they end after 10 s');
    cmp_ok(time - $begun, '>', 5, '... and not before a slow client could send its headers');
};

finish();
