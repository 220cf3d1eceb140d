# Inside somebody else's nginx the registry works, and neither the site nor the registry gets anything of the other's.
use v5.36;
use Registry limit => 240;
use MIME::Base64 qw(encode_base64);
use Registry::Checks;
use Registry::Manual;
use Registry::Layers qw(gzip_layer push_layers tar_of);
use Registry::Clients;
use Registry::Images;
use Registry::Nginx;
use Registry::Process;
use Registry::Tools;
use Registry::V1 qw(image random_chain);
use Test::More;

# What nginx has to include; options as for the registry.
sub printed ($part, @options) {
    my $ran = Registry->try([ 'print-nginx-conf', "--$part", @options ]);
    die "print-nginx-conf: $ran->{err}" if $ran->{exit} != 0;
    return $ran->{out};
}

# ann:pass, for the site's own auth_basic
sub htpasswd (@pairs) {
    return join '', map { my ($name, $password) = split /:/; "$name:{PLAIN}$password\n" } @pairs;
}

sub basic ($pair) { return { Authorization => 'Basic ' . encode_base64($pair, '') } }

my $tmp = tempdir();

subtest 'without an nginx of its own' => sub {
    my $registry = Registry->start(fastcgi => "$tmp/alone", args => [ '--user', 'ann:secret' ]);
    is($registry->output, "Server is listening on $tmp/alone/api.sock\n", 'the ready line names the socket');
    is(scalar(() = $registry->logged(qr/access-log/)), 0, '... and without --access-log there is no word of it');
    ok(-S "$tmp/alone/$_.sock", "$_.sock is there") for qw(api bulk list browse gate);
    is((stat _)[2] & 0077, 0, '... for one user alone');
    is_deeply([ $registry->nginx_master, $registry->nginx_workers ], [], 'there is no nginx');
    ok(!-e $registry->dir . '/run/nginx.conf', '... and no configuration for one');
    is((stat "$tmp/alone")[4], (stat $registry->dir . '/db')[4], 'the directory was made, for the workers\' user');

    my $other = Registry->try([ '--fastcgi', "$tmp/alone", '--dir', "$tmp/other" ]);
    is($other->{exit}, 1, 'another registry is refused there');
    like($other->{err}, qr{\Q$tmp\E/alone/api\.sock is in use.*--fastcgi}, '... with what to do');

    $registry->crash;
    ok(wait_for(5, sub { !$registry->processes }), 'killed');
    ok(-S "$tmp/alone/api.sock", 'its socket is left');
    my $again = Registry->start(fastcgi => "$tmp/alone", dir => $registry->dir, args => [ '--access-log', "$tmp/access.log" ]);
    is(scalar(() = $again->logged(qr/level=warn msg="--access-log has no effect with --fastcgi: your own nginx writes it, see docker-registry-server-nginx\(7\)"/)), 1, 'a log that nobody writes has a warning');
    $again->stop;
    ok(!-e "$tmp/access.log", '... and no file');
    ok(!-e "$tmp/alone/$_.sock", "a start removed the old one, and a stop $_.sock") for qw(api bulk list browse gate);
};

subtest 'relative names start where the program was started' => sub {
    mkdir "$tmp/cwd";
    my $registry = Registry->start(fastcgi => 'here/sockets', dir => 'data', cwd => "$tmp/cwd");
    is($registry->output, "Server is listening on here/sockets/api.sock\n", 'the ready line, as given');
    ok(-S "$tmp/cwd/here/sockets/api.sock", 'the socket');
    $registry->{dir} = "$tmp/cwd/data";
    my $ran = Registry->try([ 'print-nginx-conf', '--dir', './none/', '--fastcgi=here//sockets/' ], cwd => "$tmp/cwd");
    is($ran->{exit}, 0, 'print-nginx-conf');
    like($ran->{out}, qr{unix:\Q$tmp\E/cwd/here/sockets/api\.sock }, '... has full names of the sockets');
    like($ran->{out}, qr{\balias \Q$tmp\E/cwd/none/layers/;},          '... and of the data directory');
    ok(!-e "$tmp/cwd/none", '... which it did not make');
};

subtest 'what is refused' => sub {
    my @cases = (
        [ 2, qr/107 bytes/, '--fastcgi', "$tmp/" . 'a' x 107 ],
        (map { [ 2, qr/--\Q$_->[0]\E.*--fastcgi/, '--fastcgi', "$tmp/s", "--$_->[0]", $_->[1] ] }
                [ port => 0 ], [ listen => '127.0.0.1' ], [ 'tls-port' => 0 ], [ 'tls-cert' => 'c' ], [ 'tls-key' => 'k' ]),
        [ 2, qr/--name/,                     '--name', 'A-1' ],
        [ 2, qr/--name/,                     '--name', 'a' x 23 ],
        [ 2, qr/--trust-remote-user.*--fastcgi/, '--trust-remote-user', '--port', 0 ],
        [ 2, qr/--user.*--trust-remote-user/, '--trust-remote-user', '--fastcgi', "$tmp/s", '--user', 'a:b' ],
        [ 2, qr{--base-url.*without a path, because clients look for /v2/ at the root},
            '--fastcgi', "$tmp/s", '--base-url', 'https://example.com/registry/' ],
        [ 2, qr/--http.*print-nginx-conf/,   '--http' ],
        [ 1, qr/not a socket.*--fastcgi/,       '--fastcgi', "$tmp/file" ],
    );
    mkdir "$tmp/file";
    spew("$tmp/file/api.sock", 'x');
    chown scalar(getpwnam 'www-data'), -1, "$tmp/file" if is_root();
    for my $case (@cases) {
        my ($exit, $pattern, @args) = @$case;
        my $ran = Registry->try([ '--dir', "$tmp/refused", @args ]);
        is($ran->{exit}, $exit, substr "@args", 0, 60);
        like($ran->{err}, $pattern, '... and why') or diag($ran->{err});
        ok(!-e "$tmp/refused", '... and nothing was made') if $exit == 2;
    }
    for my $case ([], [ '--fastcgi', "$tmp/s", 'more' ], [ '--fastcgi', "$tmp/s", '--port', 1 ],
        [ '--fastcgi', "$tmp/s", '--dir', "$tmp/a b" ], [ '--fastcgi', "$tmp/s", '--dir', "$tmp/\$host" ]) {
        my $ran = Registry->try([ 'print-nginx-conf', @$case ]);
        is($ran->{exit}, 2, "print-nginx-conf @$case");
        is($ran->{out}, '', '... prints nothing');
        isnt($ran->{err}, '', '... but why');
    }
    is(slurp("$tmp/file/api.sock"), 'x', 'what is no socket is left alone');
};

# ---- a site that tries to get into everything ----

my $registry = Registry->start(
    dir => "$tmp/a", fastcgi => "$tmp/sockets", args => [ '--user', 'ann:secret', '--user', 'bob:second', '--max-blob-size', '4M' ]);
my @options = (
    '--dir', "$tmp/a", '--fastcgi', "$tmp/sockets", '--max-blob-size', '4M', '--cors', 'https://ui.' . 'long.' x 20 . 'example.com',
);

my $HOSTILE_HTTP = <<'END';
limit_req_zone $server_port zone=site:1m rate=1r/m;
limit_req_zone $server_port zone=site_all:1m rate=1r/m;
limit_conn_zone $server_port zone=site_connections:1m;
gzip on;
gzip_types *;
gzip_min_length 1;
gzip_proxied any;
charset utf-8;
charset_types *;
expires 1h;
add_header X-Site yes always;
add_header Access-Control-Allow-Origin * always;
recursive_error_pages on;
fastcgi_intercept_errors on;
fastcgi_param ROLE auth;
fastcgi_param REMOTE_USER admin;
fastcgi_read_timeout 1s;
open_file_cache max=100;
variables_hash_max_size 2048;
END

my $HOSTILE = <<'END';
root www;
client_max_body_size 100k;
limit_req zone=site_all burst=30 nodelay;
satisfy any;
allow 127.0.0.1;
auth_basic "the site";
auth_basic_user_file site.htpasswd;
error_page 400 401 403 405 413 500 502 503 504 =200 /oops.html;
error_page 404 /missing.html;
location / { index index.html; }
location = /oops.html { internal; }
location = /missing.html { internal; }
location /private/ { satisfy all; auth_basic "private"; error_page 401 /missing.html; }
location /limited/ { limit_req zone=site; limit_req_status 429; }
location ~ \.php$ { return 200 stolen; }
location ~* \.(js|css|json|png)$ { return 200 stolen; }
location ~ /blobs/ { return 200 stolen; }
location ~ ^/v[12] { return 200 stolen; }
location ~ ^/_ { return 200 stolen; }
END

my %files = (
    'http.conf'        => printed('http',   @options),
    'locations.conf'   => printed('server', @options),
    'site.htpasswd'    => htpasswd('eve:hers', 'ann:other'),
);

sub furnish ($site) {
    mkdir $site->dir . "/www/$_" for 'private', 'limited';
    spew($site->dir . "/www/$_->[0]", $_->[1])
        for [ 'index.html', 'the home of the site' x 20 ], [ 'oops.html', 'the site says oops' ], [ 'missing.html', 'the site misses it' ],
            [ 'private/file', 'for eve' ], [ 'limited/file', 'slowly' ];
    return $site;
}

my $nginx = Registry::Nginx->start(
    files  => \%files,
    http   => "include http.conf;\n$HOSTILE_HTTP",
    server => "limit_conn site_connections 2;\nauth_request /no/such/check;\n$HOSTILE\ninclude locations.conf;\nlocation = /no/such/check { internal; return 403; }",
);
ok($nginx, 'nginx takes both files') or BAIL_OUT(Registry::Nginx->last_words);
unlike(Registry::Nginx->last_words, qr/\[(?:warn|error|emerg)\]/, '... without a complaint') or diag(Registry::Nginx->last_words);
furnish($nginx);
my $ann    = $nginx->client(0, user => 'ann:secret');
my $nobody = $nginx->client;

subtest 'the site keeps its own' => sub {
    my $site = $nginx->client(0, timeout => 10);
    is_status(my $home = $site->get('/'), 200, 'its home', 'X-Site' => 'yes');
    like($home->content, qr/home of the site/, '... has its text');
    is_status(my $missing = $site->get('/nothing'), 404, 'its 404', 'X-Site' => 'yes');
    like($missing->content, qr/site misses it/, '... has its text');
    like($site->get('/healthz')->content, qr/site misses it/, '/healthz is the site\'s');
    is($site->get('/a.php')->content, 'stolen', 'its regular expressions');
    is_status($site->get('/private/file'), 401, 'its passwords');
    is_status($site->get('/private/file', headers => basic('ann:secret')), 401, '... which ours are not');
    is_status($site->get('/private/file', headers => basic('eve:hers')), 200, '... but its own');
    is_status($site->get('/limited/file'), 200, 'its limit: once');
    is_status($site->get('/limited/file'), 429, '... and not again');
    like($site->post('/', body => 'x' x 200_000)->content, qr/site says oops/, 'its limit of bodies');
};

subtest 'push and pull by the first API' => sub {
    my @images = (random_chain(2), image('A sent'));
    for my $chain ([ @images[ 0, 1 ] ], [ $images[2] ]) {
        my $v1 = Registry::V1->new($ann, user => 'ann:secret');
        is_status($_->[1], $_->[2], $_->[0]) for $v1->push_images('team/old', 'latest', @$chain);
        my $pulled = $v1->pull_images('team/old', 'latest');
        is_deeply([ map { "$_->{json}$_->{layer}" } @{ $pulled->{images} } ], [ map { "$_->{json}$_->{layer}" } @$chain ], 'and back');
    }
    my $layer = $ann->get("/v1/images/$images[2]{id}/layer", headers => { Range => 'bytes=100-421' });
    is_status($layer, 206, 'the rest of a layer', 'Content-Encoding' => undef, 'X-Site' => undef, 'X-Docker-Registry-Version' => qr/./);
};

subtest 'push and pull' => sub {
    my $layer = random_bytes(3_000_000);
    is_status($ann->push_image('team/app', 'v1', [$layer]), 201, 'larger than the site allows');
    is_blob($ann, 'team/app', $layer, '... and back');
    for my $way (qw(patch put post)) {
        is_status($ann->push_blob("team/$way", random_bytes(300_000), way => $way), 201, "by $way");
    }
    is_error($ann->push_blob('team/app', cheap_bytes(5 << 20), way => 'put'), 413, 'SIZE_INVALID', '--max-blob-size of print-nginx-conf');
    my $digest = digest($layer);
    is_status($ann->get("/v2/team/app/blobs/$digest", headers => { Range => 'bytes=0-9' }), 206, 'a range');
    is_status($ann->head("/v2/team/app/blobs/$digest"), 200, 'HEAD', 'Content-Length' => length $layer,
        'Docker-Content-Digest' => $digest, 'X-Site' => undef, Expires => undef);
    is_status($ann->put_manifest('team/app', 'large', '{' . ' ' x 500_000 . '}'), 400, 'a large manifest reaches the worker');
    for my $name ('a.php', 'a.json', 'x/blobs', 'v2') {
        is_status($ann->push_image($name, 'v.js', [ random_bytes(1000) ]), 201, "a repository $name");
        is_status($ann->get("/v2/$name/manifests/v.js"), 200, '... and back');
    }
    my $file = random_bytes(2_000_000);
    push_layers($ann, 'team/inside', 'v.js', gzip_layer(tar_of('d a.php/', { name => 'a.php/b.css', data => $file })));
    my %none = ('X-Site' => undef, Expires => undef, 'Content-Encoding' => undef);
    my $list = $ann->get('/v2/team/inside/_image/v.js/tree/a.php', headers => { 'Accept-Encoding' => 'gzip' });
    is_status($list, 200, 'what is inside', 'Content-Type' => 'application/json', %none);
    is($list->json->[0]{path}, '/a.php/b.css', '... is listed');
    my $got = $ann->get('/v2/team/inside/_image/v.js/blobs/a.php/b.css', headers => { 'Accept-Encoding' => 'gzip' });
    is_status($got, 200, '... and read', 'Content-Type' => 'application/octet-stream', 'X-Content-Type-Options' => 'nosniff',
        'Content-Length' => length $file, %none);
    ok($got->content eq $file, '... whole');
    is_error($nobody->get('/v2/team/inside/_image/v.js/tree'), 401, 'UNAUTHORIZED', '... with a password only');
    is_error($ann->get('/v2/team/inside/_image/v.js/blobs/a.php'), 404, 'NOT_FOUND', '... its 404 is ours');
    is_tidy($registry);
};

subtest 'nothing of the site gets into the registry' => sub {
    my $tags = $ann->get('/v2/team/app/tags/list', headers => { 'Accept-Encoding' => 'gzip' });
    is_status($tags, 200, 'a list', 'X-Site' => undef, 'Content-Encoding' => undef, Expires => undef,
        'Cache-Control' => undef, 'Content-Type' => 'application/json');
    is_error($ann->get('/v2/team/app/manifests/none'), 404, 'MANIFEST_UNKNOWN', 'its 404 is ours');
    is_error($ann->get('/v2/team/none/tags/list'),     404, 'NAME_UNKNOWN',     '... another');
    is_error($nobody->get('/v2/team/app/tags/list'),   401, 'UNAUTHORIZED',     '401 is ours, though 127.0.0.1 satisfies the site');
    for my $pair ('ann:wrong', 'eve:hers', 'ann:other', 'admin:x') {
        is_error($nobody->get('/v2/', headers => basic($pair)), 401, 'UNAUTHORIZED', "$pair");
        is_error($nobody->post('/v2/team/app/blobs/uploads/', body => '', headers => basic($pair)), 401, 'UNAUTHORIZED', '... for an upload');
    }
    my $realm = 'Bearer realm="http://127.0.0.1:' . $nginx->port . '/v2/_token"';
    for my $way ([ GET => '/v2/' ], [ GET => '/v2/team/app/tags/list' ], [ POST => '/v2/team/app/blobs/uploads/', 'x' ], [ PUT => '/v2/team/app/manifests/x', '{}' ]) {
        my ($method, $path, $body) = @$way;
        is_status($nobody->request($method, $path, body => $body), 401, "tokens are here: $method $path", 'WWW-Authenticate' => qr/^\Q$realm\E,/);
    }
    my $answer = $ann->get('/v2/_token?scope=repository:team/app:pull,push');
    is_status($answer, 200, 'a token', 'X-Site' => undef, Expires => undef, 'Cache-Control' => 'no-store', 'Content-Type' => 'application/json');
    my %token = (headers => { Authorization => 'Bearer ' . $answer->json->{token} });
    is_status($nobody->get('/v2/team/app/manifests/v1', %token), 200, '... pulls');
    is_status($nobody->post('/v2/team/app/blobs/uploads/', body => '', %token), 202, '... and pushes');
    for my $pair (undef, 'ann:wrong', 'eve:hers', 'ann:other', 'admin:x') {
        my %headers = defined $pair ? (headers => basic($pair)) : ();
        is_error($nobody->get('/v2/_token?scope=repository:team/app:pull', %headers), 401, 'UNAUTHORIZED', 'none for ' . ($pair // 'nobody'));
    }
    is_error($nobody->post('/v2/_token', body => 'grant_type=refresh_token&refresh_token=x'), 401, 'UNAUTHORIZED', '... nor for a form');
    is_status($nobody->get('/v2', headers => basic('ann:secret')), 200, '/v2 is no redirect', Location => undef);
    is_v1_error($ann->get('/v1/none'), 404, '/v1/');
    for my $path ('/_ping', '/v1/_ping') {
        is_status(my $ping = $nobody->get($path), 200, $path, 'X-Site' => undef);
        is($ping->content, 'true', '... is ours');
    }
    for my $path ('authorize', 'error', 'busy', 'refused', 'healthz', 'readyz', 'metrics', 'v2/blob/sha256/', '', 'x.php') {
        is_status(my $hidden = $ann->get("/_registry_main/$path"), 404, "/_registry_main/$path from outside", 'X-Site' => undef);
        unlike($hidden->content, qr/stolen|site/, '... says nothing');
    }
    is_status($ann->get('/v2/') => 200, 'the same again, fast') for 1 .. 10;
    unlike(join('', $registry->logged(qr/level=error/)), qr/parameter/, 'and no parameter comes twice');
};

subtest 'pages that may use the registry are told to print-nginx-conf' => sub {
    my $ui   = $options[-1];
    my $blob = '/v2/team/app/blobs/' . digest('{}');
    $ann->push_blob('team/app', '{}');
    for my $origin ($ui, 'https://evil.example') {
        my %cors = ('Access-Control-Allow-Origin' => $origin eq $ui ? $ui : undef, Vary => qr/\bOrigin\b/);
        is_status($ann->get($_, headers => { Origin => $origin }), /none/ ? 404 : 200, "$_, of $origin", %cors)
            for '/v2/', $blob, '/v2/none';
        is_status($nobody->get('/v2/', headers => { Origin => $origin }), 401, '... 401', %cors);
        is_status($nobody->request(OPTIONS => $_, headers => { Origin => $origin }), 204, "... OPTIONS $_", %cors)
            for '/v2/', '/v2/team/app/blobs/uploads/x';
    }
};

subtest 'more requests at the same time than the site allows' => sub {
    my %uploads = map { $ann->start_upload('team/app') => $ann->connect } 1 .. 3;
    for my $place (sort keys %uploads) {
        $uploads{$place}->send($ann->head_of('PATCH', $place, headers => { 'Transfer-Encoding' => 'chunked' }));
        $uploads{$place}->send_chunk(random_bytes(50_000));
    }
    is_status($ann->get('/v2/'), 200, 'a request beside uploads that go on');
    for my $place (sort keys %uploads) {
        $uploads{$place}->send_chunk('');
        is_status($uploads{$place}->response('PATCH'), 202, 'an upload');
        is_status($ann->delete($place), 204, '... is dropped');
    }
};

subtest 'users come without a word to nginx' => sub {
    my $ran = Registry->try([ 'user', 'add', 'cid', '--dir', "$tmp/a" ], stdin => "third\n");
    is($ran->{exit}, 0, 'user add') or diag($ran->{err});
    is_status($nginx->client(0, user => 'cid:third')->get('/v2/'), 200, 'counts');
};

subtest 'the registry stops and comes back' => sub {
    $registry->stop;
    is_status(my $away = $ann->get('/v2/'), 503, 'away', 'Retry-After' => qr/^\d+$/, 'X-Site' => undef);
    is_error($away, 503, 'UNAVAILABLE', '... in its form');
    like($away->message, qr/out of reach/, '... and what it may be');
    is_status($nobody->get('/'), 200, 'the site is there');
    $registry = Registry->start(dir => "$tmp/a", fastcgi => "$tmp/sockets", args => [ '--user', 'ann:secret' ]);
    is_status($ann->get('/v2/team/app/manifests/v1'), 200, 'back, and nginx was not told');
};

subtest 'skopeo' => sub {
    plan skip_all => 'skopeo is not installed' if !find_program('skopeo');
    my $address = '127.0.0.1:' . $nginx->port;
    make_layout("$tmp/image", 'v1', 3_000_000, 200_000);
    my @push = ('copy', '--dest-tls-verify=false', "oci:$tmp/image:v1", "docker://$address/team/skopeo:v1");
    works(skopeo(@push, '--dest-creds', 'ann:secret'), 'push');
    isnt(skopeo(@push, '--dest-creds', 'ann:wrong')->{exit}, 0, 'a wrong password is refused');
    works(skopeo('copy', '--src-tls-verify=false', '--src-creds', 'ann:secret', "docker://$address/team/skopeo:v1", "oci:$tmp/pulled:v1"), 'pull');
    is_deeply([ layout_digests("$tmp/pulled") ], [ layout_digests("$tmp/image") ], 'the same image');
    is_tidy($registry);
};
$nginx->stop;

# ---- two of them ----

subtest 'two registries in one nginx' => sub {
    my @second = ('--dir', "$tmp/b", '--fastcgi', "$tmp/sockets-b", '--name', 'b_2');
    my $other  = Registry->start(dir => "$tmp/b", fastcgi => "$tmp/sockets-b", args => [ '--name', 'b_2', '--base-url', 'https://b.example.com:8443/' ]);
    my $both   = Registry::Nginx->start(
        files  => { %files, 'http-b.conf' => printed('http', @second), 'locations-b.conf' => printed('server', @second) },
        http   => "include http.conf;\ninclude http-b.conf;\nvariables_hash_max_size 2048;",
        server => [ 'include locations.conf;', 'include locations-b.conf;' ],
    );
    ok($both, 'nginx takes all four files') or return diag(Registry::Nginx->last_words);
    my ($first, $second) = ($both->client(0, user => 'ann:secret'), $both->client(1));
    my $bytes = random_bytes(200_000);
    is_status($second->push_blob('only/b', $bytes), 201, 'a push to the second, without a password');
    is_blob($second, 'only/b', $bytes, '... and back');
    is_error($first->get('/v2/only/b/tags/list'), 404, 'NAME_UNKNOWN', 'the first knows nothing of it');
    is_error($both->client(0)->get('/v2/'), 401, 'UNAUTHORIZED', '... and wants its password');
    is_status($first->get('/v2/team/app/manifests/v1'), 200, '... and has its own');
    is_status($second->get('/_registry_main/healthz'), 404, 'nothing of the first is in the second');

    subtest '--base-url' => sub {
        my $base = qr{^https://b\.example\.com:8443/v2/};
        is_status($second->post('/v2/x/blobs/uploads/', body => ''), 202, 'Location of an upload', Location => qr{${base}x/blobs/uploads/\w+$});
        is_status($second->push_blob('x', $bytes), 201, '... of a blob', Location => qr{${base}x/blobs/sha256:\w+$});
        is_status($second->push_image('x', "t$_", ['layer']), 201, '... of a manifest', Location => qr{${base}x/manifests/sha256:\w+$}) for 1, 2;
        is_status($second->get('/v2/x/tags/list?n=1'), 200, 'Link', Link => qr{^<https://b\.example\.com:8443/v2/x/tags/list\?n=1&last=t1>});
        is_status($first->post('/v2/x/blobs/uploads/', body => ''), 202, 'without it, relative', Location => qr{^/v2/x/blobs/uploads/\w+$});
    };

    # The longest name that may be given, with nginx's own defaults.
    my @long = ('--dir', "$tmp/b", '--fastcgi', "$tmp/sockets-b", '--name', 'n' x 22);
    my $long = Registry::Nginx->start(
        files  => { 'http.conf' => printed('http', @long), 'locations.conf' => printed('server', @long) },
        http   => 'include http.conf;',
        server => 'include locations.conf;',
    );
    ok($long, 'the longest name') or return diag(Registry::Nginx->last_words);
    is_status($long->client->get('/v2/'), 200, '... works');
    $_->stop for $both, $long;
};

# ---- users of the site's ----

subtest '--trust-remote-user' => sub {
    my @trusting = ('--dir', "$tmp/t", '--fastcgi', "$tmp/sockets-t", '--trust-remote-user');
    my $trusting = Registry->start(dir => "$tmp/t", fastcgi => "$tmp/sockets-t", args => ['--trust-remote-user']);
    is_deeply([ $trusting->logged(qr/level=warn/) ], [], 'no warning that there are no users');
    my %trust = (
        'http.conf'      => printed('http',   @trusting),
        'locations.conf' => printed('server', @trusting),
        'site.htpasswd'  => htpasswd('eve:hers', 'dan:his'),
    );
    unlike($trust{'locations.conf'}, qr/REMOTE_USER \$remote_user|auth_basic_user_file/, 'what is printed does not believe the client');

    my $unset = Registry::Nginx->start(files => \%trust, http => 'include http.conf;', server => 'include locations.conf;');
    ok(!$unset, 'a site that names nobody: nginx does not start');
    like(Registry::Nginx->last_words, qr/unknown "registry_remote_user_main" variable/, '... and says what is missing');

    my $site = Registry::Nginx->start(
        files  => \%trust,
        http   => "include http.conf;\nvariables_hash_max_size 2048;",
        server => [ <<~'END', 'set $registry_remote_user_main ""; include locations.conf;' ],
            satisfy any;
            allow 127.0.0.1;
            auth_basic "the site";
            auth_basic_user_file site.htpasswd;
            set $registry_remote_user_main $remote_user;
            include locations.conf;
            END
    );
    ok($site, 'with auth_basic of the site') or return diag(Registry::Nginx->last_words);
    my ($eve, $dan) = map { $site->client(0, user => $_) } 'eve:hers', 'dan:his';
    is_status($eve->push_image('a/b', 'v1', [ random_bytes(300_000) ]), 201, 'the site\'s user pushes');
    is_status($eve->get('/v2/a/b/manifests/v1'), 200, '... and pulls');
    my $place = $eve->start_upload('a/b');
    is_status($dan->get($place), 404, 'the registry knows who it is: another\'s upload');
    is_status($eve->delete($place), 204, '... and one\'s own');
    is_error($site->client->get('/v2/'), 401, 'UNAUTHORIZED', 'without a password');
    for my $pair ('eve:wrong', 'admin:x', 'ann:secret') {
        my $who = $site->client(0, user => $pair);
        is_error($who->get('/v2/'), 401, 'UNAUTHORIZED', "as $pair");
        is_error($who->patch($place, body => 'x'), 401, 'UNAUTHORIZED', '... an upload');
    }
    is_status($eve->get('/v2/'), 200, 'the challenge leads there');
    like($site->client->get('/v2/')->header('WWW-Authenticate') // '', qr/^Basic/, '... since there is one');
    is_error($eve->get('/v2/_token?scope=repository:a/b:pull'), 404, 'NAME_UNKNOWN', 'there are no tokens');
    is_error($eve->post('/v2/_token', body => 'grant_type=refresh_token'), 404, 'NAME_UNKNOWN', '... nor for a form');

    my $closed = $site->client(1, user => 'eve:hers');
    for my $way ([ GET => '/v2/' ], [ GET => '/v2/a/b/manifests/v1' ], [ POST => '/v2/a/b/blobs/uploads/', '' ], [ PATCH => $place, 'x' ]) {
        my ($method, $path, $body) = @$way;
        is_error($closed->request($method, $path, body => $body), 401, 'UNAUTHORIZED', "a site that checks nobody: $method $path");
    }
    my $eve_place = $eve->start_upload('a/b');
    spew("$tmp/t/auth/htpasswd", '');
    is_status($eve->get('/v2/'), 200, 'auth/htpasswd does not count');
    $site->stop;

    # our configuration, but a registry that wants a name for everybody
    my @own  = ('--dir', "$tmp/t", '--fastcgi', "$tmp/sockets-t");
    my $unfit = Registry::Nginx->start(
        files  => { 'http.conf' => printed('http', @own), 'locations.conf' => printed('server', @own), 'site.htpasswd' => $trust{'site.htpasswd'} },
        http   => 'include http.conf;',
        server => 'include locations.conf;',
    );
    is_error($unfit->client(0, user => 'eve:hers')->get('/v2/'), 401, 'UNAUTHORIZED', 'printed without it: nobody is let in');
    $unfit->stop;

    subtest 'certificates of clients' => sub {
        plan skip_all => 'needs openssl and curl' if grep { !find_program($_) } 'openssl', 'curl';
        my ($cert, $key) = make_certificate($tmp, 'site');
        my ($hers, $her_key) = make_certificate($tmp, 'eve', 2);
        my ($no, $no_key) = make_certificate($tmp, 'mallory', 3);
        my $comma = run([ qw(openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj), '/O=x,CN=eve/CN=max',
            '-keyout', "$tmp/comma.key", '-out', "$tmp/comma.crt" ]);
        works($comma, 'a certificate with a comma');
        my ($map) = join("\n", manual_examples('nginx.7'), '') =~ /^(map "\$ssl_client_verify.*?^\}\n)/ms;
        my $secure = Registry::Nginx->start(
            files  => { %trust, 'site.crt' => slurp($cert), 'site.key' => slurp($key), 'clients.crt' => slurp($hers) . slurp("$tmp/comma.crt") },
            listen => 'ssl',
            http   => "include http.conf;\nvariables_hash_max_size 2048;\n" . ($map // die 'no map in the manual'),
            server => <<~'END',
                ssl_certificate site.crt;
                ssl_certificate_key site.key;
                ssl_client_certificate clients.crt;
                ssl_verify_client optional_no_ca;
                include locations.conf;
                END
        );
        ok($secure, 'nginx takes the manual\'s map') or return diag(Registry::Nginx->last_words);
        my $url  = 'https://127.0.0.1:' . $secure->port . '/v2/a/b/tags/list';
        my @curl = ('--cacert', $cert, '--write-out', '%{http_code}', '--output', '/dev/null', '--user', 'eve:x');
        is(curl(@curl, '--cert', $hers, '--key', $her_key, $url)->{out}, 200, 'a certificate that is known');
        is(curl(@curl, $url)->{out}, 401, 'none, but a claim');
        my @max   = ('--cert', "$tmp/comma.crt", '--key', "$tmp/comma.key");
        my $begun = 'https://127.0.0.1:' . $secure->port . $eve_place;
        is(curl(@curl, '--cert', $hers, '--key', $her_key, $begun)->{out}, 204, 'her upload');
        is(curl(@curl, @max, $url)->{out}, 401, 'one that is known, of another with her name in it');
        is(curl(@curl, @max, $begun)->{out}, 401, '... is not she');
        is(curl(@curl, '--cert', $no, '--key', $no_key, $url)->{out}, 401, 'one that nobody signed');
        $secure->stop;
    };
};

finish();
