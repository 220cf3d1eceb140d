# A path means one thing, for nginx and for the workers; errors have the form of the API that was asked.
use v5.36;
use Registry limit => 60;
use Registry::Checks;
use Registry::Tools;
use Test::More;

my $registry = Registry->start;
my $secret   = random_bytes(5000);
my $digest   = digest($secret);
is_status($registry->push_image('team/app', 'v1', [$secret]), 201, 'an image is pushed');

subtest 'ways to write a path that are refused' => sub {
    my @paths = (
        '/v2/team%2Fapp/tags/list',           '/v2/team%2fapp/tags/list',    '/v2/team%5Capp/tags/list',
        '/v2/team\\app/tags/list',            '/v2/team//app/tags/list',     '/v2//team/app/tags/list',
        '/v2/team/./app/tags/list',           '/v2/team/x/../app/tags/list', '/v2/team/%2e/app/tags/list',
        '/v2/team/x/%2E%2e/app/tags/list',    '/v2/team/app/tags/list/',     '/v2/team/app/tags/list%0A',
        '/v2/team/app/tags/list%0a',          '/v2/team/app/tags%00/list',   '/v2/team/app/tags/list%00',
        '/v2/team/app/tags/list%',            '/v2/team/app/tags/list%2',    '/v2/team/app/tags/list%zz',
        '/v2/team/app/tags/list%0D%0AX:%20y', '/v2/Team/app/tags/list',      '/v2/team/app/manifests/v1%0a',
        '/v2/team/%61pp%2Ftags/list',         '/v2/team/app/manifests/%20v1', '/v2/team/app/manifests/v1%7f',
        '/v2/team/app/tags%2Flist',           '/v2/team/app/tags/list%252F', '/v2/team/app/tags/list#x',
        '/v2/team/app/manifests/v1#',
    );
    for my $path (@paths) {
        my $response = $registry->get($path);
        is_error($response, [ 400, 404 ], qr/./, $path);
        is($response->header('X'), undef, '... and no header is made of it');
    }
    is_status($registry->get('/v2%2Fteam/app/tags/list'), 400, '/v2%2F');
    my $long = '/v2/' . 'a' x 3000 . '/tags/list';
    is_error($registry->get($long), [ 400, 404, 414 ], qr/./, 'a name of 3000 letters');
    is_status($registry->get('/v2/team/%61pp/tags/list'), 200, 'a needless escape is decoded, once');
};

subtest 'uploads by other spellings' => sub {
    my $place = $registry->start_upload('team/app');
    my ($id) = $place =~ m{([^/?]+)(?:\?|$)};
    for my $path (
        "/v2/team%2Fapp/blobs/uploads/$id",   "/v2/x/../team/app/blobs/uploads/$id",
        "/v2/team/app/blobs//uploads/$id",    "/v2/team/app/blobs/uploads/$id%0A",
        "/v2/team/app/blobs/uploads/./$id",   "/v2/team/app/blobs/uploads%2F$id",
        "/v2/team/app/blobs/uploads/$id/",    "/v2/team/app/blobs/uploads/x/../$id",
        "/v2/team/app/blobs/uploads/$id%00",  "/v2/team/app/blobs/uploads/%2e%2e/uploads/$id",
        )
    {
        is_error($registry->patch($path, body => 'x' x 300_000, chunked => 1), [ 400, 404, 405 ], qr/./, "PATCH $path");
    }
    is_status($registry->get($place), 204, 'nothing has come in', Range => '0-0');
    is_status($registry->delete($place), 204, 'DELETE');
    for my $path (
        '/v2/team%2Fapp/blobs/uploads/', '/v2/x/../team/app/blobs/uploads/',
        '/v2/team/app/blobs/uploads//',  '/v2/team/app/blobs/uploads/%0A',
        )
    {
        is_error($registry->post($path, body => ''), [ 400, 404, 405 ], qr/./, "POST $path");
    }
    my $above = '/v2/team/app/blobs/uploads/%2e%2e?digest=' . digest('x');
    is_error($registry->post($above, body => 'x'), [ 400, 404, 405 ], qr/./, 'POST with a digest');
    is_tidy($registry);
};

subtest 'what only nginx itself may enter' => sub {
    my ($file) = $registry->blob_files($digest);
    my $below = $file =~ s{^layers/}{}r;
    my @insides = (
        "v2/blob/$below", "v1/blob/$below", "v1/whole/$below", 'authorize', 'v2/refused', 'v2/error',
        'v2/busy', 'v1/error', 'events/x', '',
    );
    for my $inside (@insides) {
        for my $prefix (
            '/_registry_main/',        '//_registry_main/',      '/v2/../_registry_main/', '/./_registry_main/',
            '/%5fregistry_main/',      '/_registry_main%2F',     '/_registry_main//',      '/v1/%2e%2e/_registry_main/',
            '/V2/../_registry_main/',
            )
        {
            my $response = $registry->get("$prefix$inside");
            is_status($response, $response->status == 400 ? 400 : 404, "$prefix$inside is not there");
            unlike($response->content, qr/\Q$secret\E/, '... and holds nothing') if $inside =~ /blob|whole/;
        }
    }
    my $absolute = "GET http://x/_registry_main/v2/blob/$below HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n";
    is_status($registry->raw($absolute), 404, 'nor in absolute form');
    is_status($registry->get('/_registry_main/authorize', headers => { 'X-Original-URI' => '/v2/' }), 404, 'nor with headers');
    for my $header ('X-Accel-Redirect', 'X-Sendfile', 'X-Registry-Status') {
        my $response = $registry->get('/v2/', headers => { $header => "/_registry_main/v2/blob/$below" });
        is_status($response, 200, "a client's $header does nothing");
    }
    is_error($registry->get("/v2/team/app/blobs/$_"), [ 400, 404 ], qr/./, "blobs/$_")
        for 'sha256:..%2f..%2f..%2fetc%2fpasswd', '..%2f..%2fdb%2fformat', 'sha256%2f' . $below =~ s{/}{%2f}gr;
    is_status($registry->get($_), 404, "$_ is not served")
        for '/db/format', '/run/nginx.conf', '/layers/' . $below, '/auth/htpasswd', '/uploads/', '/../etc/passwd' =~ s/^\/\.\.//r;
};

subtest 'the absolute form of a request line' => sub {
    my $line     = 'GET http://elsewhere.example/v2/team/app/tags/list HTTP/1.1';
    my $response = $registry->raw("$line\r\nHost: x\r\nConnection: close\r\n\r\n");
    is_status($response, 200, 'is answered as its path');
};

subtest 'routes that there are not' => sub {
    is_error($registry->get($_), 404, qr/./, "GET $_")
        for '/v2/team', '/v2/team/app', '/v2/team/app/tags', '/v2/team/app/blobs/', '/v2/team/app/manifests/',
        '/v2/team/app/unknown/x', '/v2/tags/list';
    is_v1_error($registry->get($_), 404, "GET $_") for '/v1/', '/v1/nothing', '/v1/nothing/at/all';
    is_v1_error($registry->get('/v1/%2e/x'), 400, 'GET /v1/%2e/x');
    is_status($registry->get($_), 404, "GET $_") for '/nothing', '/v3/', '/v2x';
    is_status(my $slash = $registry->get('/v2'), $registry->get('/v2')->status, 'GET /v2');
    like($slash->header('Location') // '/v2/', qr{^/v2/$}, '... sends nobody to another port');
    is_error($registry->put('/v2/team/app/tags/list', body => ''), 405, 'UNSUPPORTED', 'PUT of a list');
    is_error($registry->patch("/v2/team/app/blobs/$digest", body => ''), 405, 'UNSUPPORTED', 'PATCH of a blob');
};

subtest 'broken requests' => sub {
    my $host = "Host: x\r\nConnection: close\r\n";
    my $put  = "PUT /v2/a/manifests/b HTTP/1.1\r\n";
    my $none = 'Authorization: Basic Og==';
    my @requests = (
        [ 'no HTTP',              "GARBAGE\r\n\r\n",                                             400 ],
        [ 'no Host',              "GET /v2/ HTTP/1.1\r\nConnection: close\r\n\r\n",                400 ],
        [ 'TRACE',                "TRACE /v2/ HTTP/1.1\r\n$host\r\n",                            405 ],
        [ 'an unknown method',    "BREW /v2/ HTTP/1.1\r\n$host\r\n",                             405 ],
        [ 'an unknown method for an upload', "BREW /v2/a/blobs/uploads/ HTTP/1.1\r\n${host}Content-Length: 1\r\n\r\nx", 405 ],
        [ 'HTTP/9.9',             "GET /v2/ HTTP/9.9\r\n$host\r\n",                              400 ],
        [ 'a long request line',  'GET /v2/?' . 'x' x 40_000 . " HTTP/1.1\r\n$host\r\n",         414 ],
        [ 'a long header',        "GET /v2/ HTTP/1.1\r\n${host}X: " . 'x' x 40_000 . "\r\n\r\n", 431 ],
        [ 'an unknown encoding',  "${put}${host}Transfer-Encoding: gzip\r\n\r\n", 400 ],
        [ 'two lengths',          "${put}${host}Content-Length: 3\r\nContent-Length: 4\r\n\r\nabcd", 400 ],
        [ 'a length and chunks',  "${put}${host}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400 ],
        [ 'a length that is no number', "${put}${host}Content-Length: ten\r\n\r\n", 400 ],
        [ 'two credentials',      "GET /v2/ HTTP/1.1\r\n$host$none\r\n$none\r\n\r\n", 400 ],
    );
    for my $request (@requests) {
        my ($name, $bytes, $status) = @$request;
        my $response = $registry->raw($bytes);
        is_error($response, $status, qr/./, $name) if $name ne 'no HTTP';
        is_status($response, $status, $name, 'Content-Type' => qr{^application/json}) if $name eq 'no HTTP';
    }
    is_v1_error($registry->raw("TRACE /v1/x HTTP/1.1\r\n$host\r\n"), 405, 'TRACE, old API');
    is_v1_error($registry->raw('GET /v1/x?' . 'x' x 40_000 . " HTTP/1.1\r\n$host\r\n"), 414, 'a long request line, old API');
    for my $chunked (0, 1) {
        my $response = $registry->put('/v2/a/manifests/b', body => 'x' x ((4 << 20) + 1), chunked => $chunked);
        is_error($response, 413, 'SIZE_INVALID', 'a body of more than 4 MiB' . ($chunked ? ', in chunks' : ''));
    }
    my $connection = $registry->connect;
    for my $path ('/v2/no/such/tags/list', '/v2/team%2Fapp/tags/list', '/v1/nothing', '/nothing') {
        my $status = $registry->get($path)->status;
        is_status($registry->head($path, on => $connection), $status, "HEAD $path is answered as GET");
    }
    is_status($registry->get('/v2/', on => $connection), 200, '... and without a body');
    is_status($registry->get('/v2/'), 200, 'and the registry goes on');
};

finish();
