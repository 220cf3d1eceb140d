# Web pages of the origins in --cors may use the API from a browser: each answer, whoever makes it, says so.
use v5.36;
use Registry limit => 90;
use MIME::Base64 qw(encode_base64);
use Registry::Checks;
use Registry::Tools;
use Test::More;

my $UI      = 'https://ui.example.com';
my $FOREIGN = 'https://evil.example.net';
my @EXPOSED = qw(
    Docker-Content-Digest Link Location OCI-Subject OCI-Filters-Applied OCI-Tag OCI-Chunk-Min-Length
    Docker-Upload-UUID Range WWW-Authenticate Content-Range ETag
);
my $layer  = random_bytes(50_000);
my $digest = digest($layer);

# One request of each kind of answer. Options of a request, and of raw bytes.
sub kinds ($registry) {
    my $place = $registry->start_upload('team/app');
    my $basic = 'Basic ' . encode_base64('ann:wrong', '');
    my $head  = "Host: x\r\nConnection: close\r\nOrigin: ORIGIN\r\n";
    return (
        [ '200 of a worker',          200, GET    => '/v2/' ],
        [ '200 of a manifest',        200, GET    => '/v2/team/app/manifests/v1' ],
        [ '304 of a worker',          304, GET    => "/v2/team/app/blobs/$digest", headers => { 'If-None-Match' => qq("$digest") } ],
        [ '200 of a blob',            200, GET    => "/v2/team/app/blobs/$digest" ],
        [ '200 of HEAD of a blob',    200, HEAD   => "/v2/team/app/blobs/$digest" ],
        [ '206 of a blob',            206, GET    => "/v2/team/app/blobs/$digest", headers => { Range => 'bytes=5-9' } ],
        [ '416 of a blob',            416, GET    => "/v2/team/app/blobs/$digest", headers => { Range => 'bytes=99999-' } ],
        [ '202 of POST',              202, POST   => '/v2/team/app/blobs/uploads/', body => '' ],
        [ '202 of PATCH',             202, PATCH  => $place, body => 'abc' ],
        [ '204 of an upload',         204, GET    => $place ],
        [ '416 of an upload',         416, PATCH  => $place, body => 'abc', headers => { 'Content-Range' => '7-9' } ],
        [ '201 of PUT',               201, PUT    => $registry->with_digest($place, digest('abc')), body => '' ],
        [ '404 of a worker',          404, GET    => '/v2/team/app/manifests/none' ],
        [ '404 of a route',           404, GET    => '/v2/team/app/nothing/x' ],
        [ '405 of a worker',          405, PUT    => '/v2/team/app/tags/list', body => '' ],
        [ '405 by nginx',             405, RAW    => "TRACE /v2/ HTTP/1.1\r\n$head\r\n" ],
        [ '400 of a worker',          400, GET    => '/v2/team%2Fapp/tags/list' ],
        [ '400 by nginx',             400, RAW    => "GET /v2/ HTTP/1.1\r\n${head}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd" ],
        [ '413 by nginx',             413, PUT    => '/v2/team/app/manifests/x', body => 'x' x ((4 << 20) + 1) ],
        [ '414 by nginx',             414, GET    => '/v2/?' . 'x' x 40_000 ],
        [ '431 by nginx',             431, RAW    => "GET /v2/ HTTP/1.1\r\n${head}X: " . 'x' x 40_000 . "\r\n\r\n" ],
        [ '401 of a worker',          401, GET    => '/v2/', headers => { Authorization => 'none' } ],
        [ '401 by nginx',             401, GET    => '/v2/', headers => { Authorization => $basic } ],
        [ '401 before an upload',     401, POST   => '/v2/team/app/blobs/uploads/', body => '', headers => { Authorization => 'none' } ],
        [ '401 by nginx, of an upload', 401, POST => '/v2/team/app/blobs/uploads/', body => '', headers => { Authorization => $basic } ],
        [ '404 before an upload',     404, PATCH  => '/v2/team/app/nothing/x', body => 'x' ],
    );
}

sub ask ($registry, $origin, $method, $path, %o) {
    return $registry->raw($path =~ s/^Origin: ORIGIN\r\n/defined $origin ? "Origin: $origin\r\n" : ''/mer) if $method eq 'RAW';
    $o{headers}{Origin} = $origin if defined $origin;
    return $registry->request($method, $path, %o);
}

# What of CORS is in an answer; a header that is there twice is no answer at all.
sub cors_of ($response) {
    return { map { s/^access-control-//r => $response->header($_) } grep { /^access-control-/ } keys %{ $response->{headers} } };
}

sub varies ($response, $by) { return grep { lc eq lc $by } split /\s*,\s*/, $response->header('Vary') // '' }

# Each kind of answer: the origin that is let in (undef: none), with a password?
sub check_kinds ($registry, $asks, $let, $password, $varies) {
    for my $kind (kinds($registry)) {
        my ($name, $status, @request) = @$kind;
        # of a request line that is too long nginx doesn't come to read the Origin
        my $unread   = $status == 414 && $password;
        # pages of other origins change nothing; nginx doesn't know that
        $status = 403 if defined $asks && !defined $let && $request[0] =~ /^P/ && $name !~ /by nginx/;
        my $lets     = $unread ? undef : $let;
        my $response = ask($registry, $asks, @request);
        my $cors     = cors_of($response);
        is_status($response, $status, $name, 'Access-Control-Allow-Origin' => $lets,
            'Access-Control-Allow-Credentials' => $password && !$unread ? 'true' : undef);
        is(!!varies($response, 'Origin'), !!$varies, '... ' . ($varies ? 'varies' : 'does not vary') . ' by origin');
        my %exposed = map { lc $_ => 1 } split /\s*,\s*/, $cors->{'expose-headers'} // '';
        is_deeply([ grep { !$exposed{ lc $_ } } @EXPOSED ], [], '... and shows its headers') if defined $lets;
        is_deeply($cors, {}, '... has nothing of CORS') if !defined $lets;
    }
    return;
}

sub preflight ($registry, $path, $origin, $method = 'PUT', $headers = 'authorization,content-type') {
    return $registry->with(user => undef)->request('OPTIONS', $path, headers => {
        defined $origin ? (Origin => $origin) : (), 'Access-Control-Request-Method' => $method,
        defined $headers ? ('Access-Control-Request-Headers' => $headers) : (),
    });
}

sub start (@args) {
    my $registry = Registry->start(args => [ '--user', 'ann:secret', @args ], user => 'ann:secret',
        expected => qr/api\.sock/);
    is_status($registry->push_image('team/app', 'v1', [$layer]), 201, "an image, with @args") if @args;
    $registry->push_image('team/app', 'v1', [$layer]) if !@args;
    return $registry;
}

subtest 'an origin with a name' => sub {
    my $registry = start('--cors', $UI, '--cors', 'http://localhost:8081');
    subtest 'its pages'       => sub { check_kinds($registry, $UI, $UI, 1, 1) };
    subtest 'those of others' => sub { check_kinds($registry, $FOREIGN, undef, 0, 1) };
    subtest 'no page'         => sub { check_kinds($registry, undef, undef, 0, 1) };
    is_status(ask($registry, $_, GET => '/v2/'), 200, "not taken for it: $_", 'Access-Control-Allow-Origin' => undef)
        for "$UI.evil.example", 'https://uiXexample.com', "x$UI", "$UI:444", 'null', '', "$UI, $FOREIGN", 'http://ui.example.com';
    is_status(ask($registry, 'http://localhost:8081', GET => '/v2/'), 200, 'a second one',
        'Access-Control-Allow-Origin' => 'http://localhost:8081', 'Access-Control-Allow-Credentials' => 'true');

    $registry->without_api(sub {
        is_status(ask($registry, $UI, GET => '/v2/'), 503, '503 by nginx', 'Access-Control-Allow-Origin' => $UI);
    });
};

subtest 'any origin' => sub {
    my $registry = start('--cors', '*');
    subtest 'a page' => sub { check_kinds($registry, $FOREIGN, '*', 0, 0) };
    subtest 'none'   => sub { check_kinds($registry, undef,    '*', 0, 0) };
    is_status(preflight($registry, '/v2/', $FOREIGN), 204, 'preflight', 'Access-Control-Allow-Origin' => '*',
        'Access-Control-Allow-Credentials' => undef);
};

subtest 'any, and one with a name' => sub {
    my $registry = start('--cors', '*', '--cors', $UI);
    is_status(ask($registry, $UI, GET => '/v2/'), 200, 'the one may send a password',
        'Access-Control-Allow-Origin' => $UI, 'Access-Control-Allow-Credentials' => 'true', Vary => 'Origin');
    is_status(ask($registry, $FOREIGN, GET => '/v2/'), 200, 'others may not',
        'Access-Control-Allow-Origin' => '*', 'Access-Control-Allow-Credentials' => undef, Vary => 'Origin');
};

subtest 'preflights' => sub {
    my $registry = start('--cors', $UI);
    my $place    = $registry->start_upload('team/app');
    my %methods  = (
        '/v2/'                          => 'GET, HEAD',
        '/v2'                           => 'GET, HEAD',
        '/v2/_catalog'                  => 'GET, HEAD',
        '/v2/team/app/tags/list'        => 'GET, HEAD',
        '/v2/team/app/manifests/v1'     => 'GET, HEAD, PUT, DELETE',
        '/v2/no/such/manifests/v1'      => 'GET, HEAD, PUT, DELETE',
        "/v2/team/app/blobs/$digest"    => 'GET, HEAD, DELETE',
        '/v2/team/app/blobs/uploads/'   => 'POST',
        '/v2/team/app/blobs/uploads/?digest=x' => 'POST',
        $place                          => 'GET, HEAD, PUT, PATCH, DELETE',
        '/v2/a/blobs/uploads/none'      => 'GET, HEAD, PUT, PATCH, DELETE',
        '/v2/nothing/at/all'            => 'GET, HEAD, PUT, POST, PATCH, DELETE',
    );
    for my $path (sort keys %methods) {
        my $response = preflight($registry, $path, $UI);
        is_status($response, 204, "OPTIONS $path, without a password",
            'Access-Control-Allow-Origin'      => $UI,
            'Access-Control-Allow-Credentials' => 'true',
            'Access-Control-Allow-Methods'     => $methods{$path},
            'Access-Control-Allow-Headers'     => 'authorization, content-type',
            'Access-Control-Max-Age'           => qr/^\d+$/,
            'Docker-Distribution-Api-Version'  => 'registry/2.0');
        is_deeply([ sort map { lc } split /\s*,\s*/, $response->header('Vary') ],
            [ 'access-control-request-headers', 'origin' ], '... varies by both');
        is_deeply([ sort split /, /, $response->header('Allow') ], [ sort 'OPTIONS', split /, /, $methods{$path} ], '... Allow');
        my $foreign = cors_of(preflight($registry, $path, $FOREIGN));
        is_deeply($foreign, {}, '... and to a foreign page nothing');
    }
    is_error(preflight($registry, $_, $UI), 400, qr/./, "OPTIONS $_ can't be read") for '/v2/team%2Fapp/tags/list', '/v2//';
    is_status($registry->raw("OPTIONS * HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n"), 400, 'OPTIONS *');
    is_status($registry->with(user => 'ann:wrong')->request(OPTIONS => '/v2/'), 204, 'nor is a wrong password looked at');

    my %asked = (
        'X-A'                          => 'X-A',
        'x-a, x-b ,x-c'                => 'x-a, x-b, x-c',
        'a"b,<script>,ok,(x),a:b, ;,'  => 'ok',
        ','                            => undef,
        ''                             => undef,
    );
    is(cors_of(preflight($registry, '/v2/', $UI, 'GET', $_))->{'allow-headers'}, $asked{$_}, "headers: $_") for sort keys %asked;
    my $many = cors_of(preflight($registry, '/v2/', $UI, 'GET', join ',', map { "x-header-$_" } 1 .. 500))->{'allow-headers'};
    like($many, qr/^x-header-1, x-header-2, .*x-header-\d+$/, 'many of them');
    cmp_ok(length $many, '<=', 1024, '... are cut');

    my $connection = $registry->connect;
    my $head       = $registry->with->head_of('OPTIONS', $place, headers => { 'Content-Length' => 3_000_000_000 });
    $connection->send($head . 'x' x 100_000);
    is_error($connection->response, 413, 'SIZE_INVALID', 'nobody sends a large body with it');
    is_error($registry->with->request(OPTIONS => $place, body => 'x' x 1_000_000, chunked => 1), 413, 'SIZE_INVALID', '... in chunks');
    is_status($registry->with->request(OPTIONS => $place, body => 'x' x 1000), 204, 'a small one is read and dropped');
    is_status($registry->get($place), 204, 'nothing has come in', Range => '0-0');
    $registry->delete($place);
    is_tidy($registry);
};

subtest 'without --cors' => sub {
    my $registry = start();
    check_kinds($registry, $UI, undef, 0, 0);
    is_status(preflight($registry, '/v2/team/app/manifests/v1', $UI), 204, 'OPTIONS', Allow => qr/\bPUT\b/);
    is_deeply(cors_of(preflight($registry, '/v2/', $UI)), {}, '... has nothing of CORS');
};

# The permission for a page to send a request of this method: the methods of the answer to its preflight.
sub permission ($registry, $path, $origin, $method) {
    my $response = preflight($registry, $path, $origin, $method, 'X-Docker-Token, authorization');
    my $cors     = cors_of($response);
    is($response->status, 204, "OPTIONS $path for $method, of $origin");
    return $cors->{'allow-origin'} ? $cors->{'allow-methods'} : join ' ', sort keys %$cors;
}

subtest 'the first API can be read by all pages, and changed by those of --cors' => sub {
    for my $args ([], [ '--cors', $UI ], [ '--cors', '*' ]) {
        my $registry = start(@$args);
        my $head     = "Host: x\r\nConnection: close\r\nOrigin: ORIGIN\r\n";
        my $basic    = 'Basic ' . encode_base64('ann:x', '');
        my @reads    = (
            [ 200, GET => '/v1/_ping' ], [ 200, GET => '/_ping' ], [ 200, GET => '/' ], [ 404, GET => '/v1/nothing' ],
            [ 404, GET => '/nothing' ],  [ 200, HEAD => '/v1/_ping' ],
            [ 400, RAW => "GET /v1/ HTTP/1.1\r\n${head}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd" ],
            [ 414, GET => '/v1/?' . 'x' x 40_000 ],
            [ 401, GET => '/v1/nothing', headers => { Authorization => 'none' } ],
            [ 401, GET => '/v1/nothing', headers => { Authorization => $basic } ],
        );
        my @writes = (
            [ 401, PUT    => '/v1/repositories/a/tags/x', body => '""', headers => { Authorization => $basic } ],
            [ 413, PUT    => '/v1/repositories/a/tags/x', body => 'x' x ((4 << 20) + 1) ],
            [ 405, RAW    => "TRACE /v1/ HTTP/1.1\r\n${head}\r\n" ],
            [ 400, RAW    => "PUT /v1/ HTTP/1.1\r\n${head}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd" ],
            [ 404, DELETE => '/v1/repositories/none/' ],
            [ 404, PUT    => '/v1/nothing', body => 'x' ],
            [ 404, POST   => '/nothing', body => 'x' ],
        );
        for my $origin (undef, $UI, $FOREIGN) {
            my $named = defined $origin && $origin eq ($args->[1] // '');
            my $any   = ($args->[1] // '') eq '*';
            my ($let, $password) = $named ? ($origin, 'true') : ('*', undef);
            for my $kind (@reads, $any || $named ? @writes : ()) {
                my ($status, @request) = @$kind;
                my $unread = $status == 414 && $named;
                my $response = ask($registry, $origin, @request);
                is_status($response, $status, "$status, $request[0] " . substr($request[1], 0, 20) =~ s/\r.*//sr,
                    'Access-Control-Allow-Origin' => $unread ? '*' : $let,
                    'Access-Control-Allow-Credentials' => $unread ? undef : $password,
                    'Access-Control-Expose-Headers' => qr/X-Docker-Token.*X-Docker-Endpoints/);
            }
            next if $any || $named;
            for my $kind (@writes) {
                my ($status, @request) = @$kind;
                $status = 403 if $status == 404 && defined $origin;
                is_status(my $response = ask($registry, $origin, @request), $status, "$status, $request[0]");
                is_deeply(cors_of($response), {}, '... no page may read it');
            }
        }
        for my $path ('/v1/_ping', '/v1/images/x/json', '/v1/nothing', '/v1//x', '/', '/_ping') {
            my $all = 'GET,HEAD,PUT,PATCH,POST,DELETE';
            my $may = ($args->[1] // '') eq '*' ? $all : '';
            is(permission($registry, $path, $FOREIGN, $_), 'GET,HEAD', "... to read") for qw(GET HEAD);
            is(permission($registry, $path, $FOREIGN, $_), $may, "... it is '$may'") for qw(PUT POST PATCH DELETE get), 'x GET';
            is(permission($registry, $path, $UI, 'PUT'), @$args ? $all : '', '... a named origin');
            is(preflight($registry, $path, $UI, 'GET', 'x-a,x-b')->header('Access-Control-Allow-Headers'), 'x-a, x-b', '... headers');
        }
    }
};

subtest 'without users no page of another origin changes anything' => sub {
    my $registry = Registry->start;
    $registry->push_image('team/app', 'v1', [$layer]);
    my @tries = (
        [ POST   => '/v2/team/app/blobs/uploads/', body => '' ],
        [ POST   => '/v2/new/one/blobs/uploads/?digest=' . digest('abc'), body => 'abc', headers => { 'Content-Type' => 'text/plain' } ],
        [ PUT    => '/v2/team/app/manifests/v2', body => '{}' ],
        [ DELETE => '/v2/team/app/manifests/v1' ],
        [ DELETE => '/v1/repositories/team/app/tags/v1' ],
        [ PUT    => '/v1/repositories/team/app/tags/x', body => '"' . 'a' x 64 . '"' ],
        [ PUT    => '/v1/images/' . 'a' x 64 . '/json', body => '{"id":"' . 'a' x 64 . '"}' ],
        [ PUT    => '/v1/images/' . 'a' x 64 . '/layer', body => 'abc' ],
        [ POST   => '/v1/users', body => '{}' ],
    );
    for my $try (@tries) {
        for my $origin ($FOREIGN, 'null', 'http://127.0.0.1:1') {
            my $response = ask($registry, $origin, @$try);
            is_status($response, 403, "$try->[0] $try->[1], of $origin");
            is_deeply(cors_of($response), {}, '... and the page may not read that');
            like($response->content, qr/web pages of \Q$origin\E may only read/, '... the answer says why');
        }
    }
    is_status($registry->get('/v2/team/app/manifests/v1'), 200, 'the tag is still there');
    is_status($registry->get('/v2/new/one/tags/list'), 404, 'and no new repository');
    is_status(ask($registry, 'http://127.0.0.1:' . $registry->port, POST => '/v2/team/app/blobs/uploads/', body => ''), 202, 'a page of our own may');
    is_status(ask($registry, undef, POST => '/v2/team/app/blobs/uploads/', body => ''), 202, 'and a client that is no page');

    # A page whose owner has given its name our address asks its own host, as the browser sees it.
    my $as = sub ($registry, $host, $scheme = 'http') {
        return ask($registry, "$scheme://$host", POST => '/v2/team/app/blobs/uploads/', body => '', headers => { Host => $host });
    };
    is_status($as->($registry, $_), 403, "a page and a host named $_") for 'evil.example:' . $registry->port, '10.0.0.1.evil.example', 'a.';
    is_status($as->($registry, $_), 202, "$_ isn't a stranger's") for 'localhost:' . $registry->port, 'registry', '10.0.0.1', '[::1]:80';
    my $named = Registry->start(args => [ '--base-url', 'https://Registry.example.com/' ]);
    is_status($as->($named, 'registry.example.com', 'https'), 202, 'nor is the name of --base-url');
    is_status($as->($named, $_, 'https'), 403, "... but $_") for 'registry.example.com:81', 'registry.example.co', 'registry.example.com.';
    my $users = Registry->start(args => [ '--user', 'ann:secret' ], user => 'ann:secret');
    is_status($as->($users, 'any.example'), 202, 'with users, a browser has a password only for the right name');
};

finish();
