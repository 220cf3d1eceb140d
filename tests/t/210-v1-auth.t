# The first API takes a password or a token on every route, and gives the token out.
use v5.36;
use Registry limit => 240;
use Digest::SHA qw(hmac_sha256 sha256);
use FindBin ();
use MIME::Base64 qw(encode_base64);
use Registry::Checks;
use Registry::Curl;
use Registry::Nginx;
use Registry::Tools;
use Registry::V1;
use Test::More;

sub basic ($pair) { return 'Basic ' . encode_base64($pair, '') }
sub with ($authorization) { return (headers => { Authorization => $authorization }) }

# What the original computes, with a key that the stamp of the user's line in the password file is mixed into.
sub token ($registry, $user, $expiry, $key = slurp($registry->dir . '/auth/token.key')) {
    my ($line) = grep { /^\Q$user\E:/ } split /\n/, slurp($registry->dir . '/run/htpasswd');
    $key = hmac_sha256(substr(sha256($line), 0, 16), $key) if defined $line;
    return "$user.$expiry." . encode_base64(hmac_sha256("$user.$expiry", $key), '') =~ s/=//r;
}

# ---- every route of the table ----

my %SAMPLE = (name => 'team/app', id => 'ab' x 32, tag => 'v1', user => 'ann', path => 'etc/a');
my %EACH   = (READ => [qw(GET HEAD)]);

# [ method, path, right ] of each row below /v1 in src/protocol/routes.c.
sub routes () {
    my $table = slurp("$FindBin::Bin/../../src/protocol/routes.c");
    my @routes;
    while ($table =~ /^\s*\{(.+?),\s*"(\/v1[\/"][^"]*)",\s*VERB_(\w+),/mg) {
        my ($methods, $path, $right) = ($1, $2, $3);
        $path =~ s/\?.*//;
        $path .= '?since=x' if $path eq '/v1/events';    # a good one has no end
        $path =~ s/\{(\w+)\}/ $SAMPLE{$1} \/\/ die "what is {$1}?" /ge;
        push @routes, map { [ $_, $path, $right ] }
            map { @{ $EACH{$_} // [s/^HTTP_//r] } } split /\s*\|\s*/, $methods;
    }
    return @routes;
}

my @routes = routes();
cmp_ok(scalar @routes, '>', 4, 'there are routes');
my @closed = grep { $_->[2] ne 'PUBLIC' } @routes;
is_deeply([ sort map { "$_->[0] $_->[1]" } grep { $_->[2] eq 'PUBLIC' } @routes ], [ 'GET /v1/_ping', 'HEAD /v1/_ping' ],
    'the ping alone is free');

sub ask ($client, $route, %o) {
    my ($method, $path) = @$route;
    return $client->request($method, $path, ($method =~ /^P/ ? (body => '[]') : ()), %o);
}

# 401 in the form of the first API, with both challenges.
sub is_refusal ($response, $route, $name) {
    my $challenges = $response->{headers}{'www-authenticate'} // [];
    my @wrong      = grep { defined } (
        $response->status != 401 ? 'status' : undef,
        "@$challenges" ne 'Basic realm="registry" Token' ? 'challenges' : undef,
        defined $response->header('X-Docker-Token') ? 'a token' : undef,
        $route->[0] ne 'HEAD' && $response->content ne '{"error":"Requires authorization"}' ? 'body' : undef,
        ($response->header('Content-Type') // '') !~ m{^application/json} ? 'type' : undef,
        !defined $response->header('X-Docker-Registry-Version') ? 'version' : undef,
    );
    ok(!@wrong, $name) or diag("@wrong\n" . $response->describe);
    return;
}

# Let in, whatever is answered then; and given what it takes to go on.
sub is_let_in ($response, $name, $user, $endpoint, $token = qr/^\Q$user\E\.\d{10}\.[A-Za-z0-9+\/]{43}$/) {
    my $got   = $response->header('X-Docker-Token') // '';
    my @wrong = grep { defined } (
        $response->status =~ /^(?:401|403|5..)$/ ? 'status' : undef,
        (ref $token ? $got !~ $token : $got ne $token) ? 'token' : undef,
        ($response->header('WWW-Authenticate')   // '') ne "Token $got" ? 'WWW-Authenticate' : undef,
        ($response->header('X-Docker-Endpoints') // '') ne $endpoint    ? 'endpoints' : undef,
    );
    ok(!@wrong, $name) or diag("@wrong\n" . $response->describe);
    return;
}

# All of the routes with all kinds of credentials.
sub every_route ($registry, $client, $name) {
    my $at   = $client->host . ':' . $client->port;
    my $good = $client->get('/v1/users', with(basic('ann:secret')))->header('X-Docker-Token') // '';
    my $soon = time + 3600;
    my %refused = (
        'nothing'                   => undef,
        'a wrong password'          => basic('ann:wrong'),
        'no such user'              => basic('mallory:secret'),
        'an empty credential'       => 'Basic Og==',
        'an empty token'            => 'Token ',
        '... without a blank'       => 'Token',
        'an expired token'          => 'Token ' . token($registry, 'ann', time - 1),
        'a token signed otherwise'  => 'Token ' . token($registry, 'ann', $soon, 'x' x 64),
        "a token of nobody's"       => 'Token ' . token($registry, 'mallory', $soon),
        'a token for anybody'       => 'Token ' . token($registry, 'anon', $soon),
        "another's name on it"      => 'Token ' . $good =~ s/^ann/b.o.b/r,
        'a later time on it'        => 'Token ' . $good =~ s/\.\d/.9/r,
        'a byte less'               => 'Token ' . substr($good, 0, -1),
        'a byte more'               => "Token ${good}A",
        'in small letters'          => "token $good",
        'with two blanks'           => "Token  $good",
        'as Bearer'                 => "Bearer $good",
        "the hub's own"             => 'Token signature=' . 'a' x 40 . ',repository="team/app",access=write',
    );
    subtest $name => sub {
        for my $case (sort keys %refused) {
            my %with = defined $refused{$case} ? with($refused{$case}) : ();
            subtest "refused: $case" => sub {
                is_refusal(ask($client, $_, %with), $_, "$_->[0] $_->[1]") for @closed;
            };
        }
        my $users = qr/^ann\./;
        for my $route (@closed) {
            my $label = "$route->[0] $route->[1]";
            is_let_in(ask($client, $route, with(basic('ann:secret'))), "$label: a password",       'ann', $at);
            is_let_in(ask($client, $route, with("Token $good")),       "$label: its token, again", 'ann', $at, $good);
        }
        my $made = token($registry, 'b.o.b', $soon);
        is_let_in($client->get('/v1/users', with("Token $made")), 'the form is the original\'s', 'b.o.b', $at, $made);
        for my $headers ({}, { Authorization => basic('ann:wrong') }, { Authorization => 'Token x' }) {
            is_status($client->get("/v1/_ping$_", headers => $headers), 200, "GET /v1/_ping$_", 'X-Docker-Token' => undef)
                for '', '/';
        }
        is_status($client->get('/v1/none'), 401, 'what is not there is told to nobody');
        is_v1_error($client->get('/v1/none', with("Token $good")), 404, '... but to who has a token');
        is_error($client->get('/v2/', with("Token $good")), 401, 'UNAUTHORIZED', 'it is no token of the second API');
        is_error($client->post('/v2/team/app/blobs/uploads/', body => '', with("Token $good")), 401, 'UNAUTHORIZED', '... nor for an upload there');
    };
    return $good;
}

my @users    = ('--user', 'ann:secret', '--user', 'b.o.b:second');
my $registry = Registry->start(args => \@users);
my $nobody   = $registry->with;
my $token    = every_route($registry, $nobody, 'every route');

subtest 'who it is' => sub {
    for my $pair ([ ann => basic('ann:secret') ], [ 'b.o.b' => basic('b.o.b:second') ], [ ann => "Token $token" ]) {
        my ($name, $header) = @$pair;
        for my $path ('/v1/users', '/v1/users/') {
            is_status(my $got = $nobody->get($path, with($header)), 200, "GET $path", 'Content-Type' => qr{^application/json});
            is_deeply($got->json, { username => $name }, "... $name");
        }
    }
    my $dotted = $nobody->get('/v1/users', with(basic('b.o.b:second')))->header('X-Docker-Token');
    is_deeply($nobody->get('/v1/users', with("Token $dotted"))->json, { username => 'b.o.b' }, 'a name with dots in its token');
    my ($expiry) = $token =~ /\.(\d+)\./;
    cmp_ok(abs($expiry - time - 6 * 3600), '<', 300, 'it lasts six hours');
};

subtest 'docker login' => sub {
    my %account = (body => '{"username":"ann","password":"secret","email":""}', headers => { 'Content-Type' => 'application/json; charset=utf-8' });
    is_refusal($nobody->post('/v1/users/', %account), ['POST'], 'no new account: 401, and docker tries its password');
    is_status($nobody->get('/v1/users/', with(basic('ann:secret'))), 200, '... which is right');
    is_refusal($nobody->get('/v1/users/', with(basic('ann:wrong'))), ['GET'], '... or wrong');
    my $known = $registry->post('/v1/users/', %account, with(basic('ann:secret')));
    is_status($known, 400, 'who has a password already');
    is($known->content, '"Username or email already exists"', '... is told so in the words that docker looks for');
    is_v1_error($nobody->put('/v1/users/ann/', %account, with(basic('ann:secret'))), 404, 'nobody changes a password here');
    is_v1_error($nobody->post('/v1/users/', body => $_, with(basic('ann:secret'))), 400, "no account: $_") for '', '{', '[]', '"x"';
    is_status($nobody->get('/v1/users', with(basic('ann:secret'))), 200, '... and it is the old one');
};

subtest 'X-Docker-Endpoints' => sub {
    my $here = '127.0.0.1:' . $registry->port;
    my $ask  = sub ($host, $version = '1.1') {
        my $header = basic('ann:secret');
        my $bytes  = "GET /v1/users HTTP/$version\r\n" . (defined $host ? "Host: $host\r\n" : '') . "Authorization: $header\r\nConnection: close\r\n\r\n";
        return $nobody->raw($bytes);
    };
    is_status($ask->($_), 200, "Host: $_", 'X-Docker-Endpoints' => $_)
        for 'registry.example.com', 'Registry_1.example.com:5000', '[::1]:8000', '[::1]', '10.0.0.1';
    is_status($ask->($_), 200, "Host: $_ is not echoed", 'X-Docker-Endpoints' => $here)
        for 'a,b', 'a;b', '"x"', 'a%0d', 'x@y', 'a' x 301, '(a)';
    is_status($ask->(undef, '1.0'), 200, 'HTTP/1.0 without Host', 'X-Docker-Endpoints' => $here);
    is_status($ask->('h:1', '1.0'), 200, 'HTTP/1.0 with Host',    'X-Docker-Endpoints' => 'h:1');
};

subtest 'X-Docker-Endpoints with --base-url' => sub {
    my $named = Registry->start(args => [ '--base-url', 'https://registry.example.com:8443/' ]);
    is_status($named->get('/v1/users'), 200, 'is its host', 'X-Docker-Endpoints' => 'registry.example.com:8443');
    $named->stop;
};

subtest 'a token has to be valid when a request begins' => sub {
    my $client = $registry->with;
    my $id     = 'cd' x 32;
    my $json   = json_of({ id => $id, created => '2020-01-01T00:00:00Z' });
    my $short  = token($registry, 'ann', int(time) + 3);
    my %headers = (Authorization => "Token $short", 'Content-Length' => length $json, 'Content-Type' => 'application/json');
    my $begun  = $client->connect;
    $begun->send($client->head_of(PUT => "/v1/images/$id/json", headers => \%headers) . substr $json, 0, 5);
    ok(wait_for(10, sub { $client->get('/v1/users', with("Token $short"))->status == 401 }), 'it expires');
    $begun->send(substr $json, 5);
    is_status($begun->response('PUT'), 200, '... while a body arrives, which is taken');
};

subtest 'the key' => sub {
    my $name = $registry->dir . '/auth/token.key';
    my @stat = stat $name;
    is($stat[2] & 07777, 0600, 'is for one user alone');
    is($stat[7],         64,   '... has 64 bytes');
    is($stat[4], (stat $registry->dir . '/db')[4], '... and belongs to the workers\' user');
};

subtest 'a restart' => sub {
    my $key = slurp($registry->dir . '/auth/token.key');
    $registry->stop;
    my $again = Registry->start(dir => $registry->dir, args => \@users);
    is_status($again->with->get('/v1/users', with("Token $token")), 200, 'a token from before it is good');
    is(slurp($again->dir . '/auth/token.key'), $key, '... the key is the same');
    $again->stop;

    my $other = Registry->start(dir => $again->dir, args => [ '--user', 'ann:changed', '--user', 'b.o.b:second' ]);
    my $bob   = token($other, 'b.o.b', time + 100);
    is_refusal($other->with->get('/v1/users', with("Token $token")), ['GET'], 'one with another password');
    is_status($other->with->get('/v1/users', with("Token $bob")), 200, '... leaves the others\' tokens');
    $other->stop;
    my $without = Registry->start(dir => $again->dir, args => [ '--user', 'ann:secret' ]);
    is_status($without->with->get('/v1/users', with("Token $token")), 200, 'the old password, the old token');
    is_refusal($without->with->get('/v1/users', with("Token $bob")), ['GET'], 'who is gone has no token any more');
    $without->stop;

    unlink $again->dir . '/auth/token.key';
    my $fresh = Registry->start(dir => $again->dir, args => \@users);
    is_refusal($fresh->with->get('/v1/users', with("Token $token")), ['GET'], 'without the key all tokens end');
    is(length slurp($fresh->dir . '/auth/token.key'), 64, '... and there is a new one');
    $fresh->stop;
    spew($again->dir . '/auth/token.key', 'short');
    my $ran = Registry->try([ '--listen', '127.0.0.1', '--port', '0', '--dir', $again->dir, @users ]);
    is($ran->{exit}, 1, 'a key that is none is refused');
    like($ran->{err}, qr{auth/token\.key.*remove}, '... with what to do');
};

subtest 'users of auth/htpasswd come and go' => sub {
    my $own = Registry->start;
    my $user = sub ($verb, $name, $password = '') {
        is(Registry->try([ 'user', $verb, $name, '--dir', $own->dir ], stdin => "$password\n")->{exit}, 0, "user $verb $name");
    };
    my $get = sub ($header) { return $own->with->get('/v1/users', with($header)) };
    is_deeply($own->get('/v1/users')->json, { username => 'anon' }, 'without users it is anybody');
    my $early = $own->get('/v1/users')->header('X-Docker-Token');
    like($early, qr/^anon\./, '... whose token says so');
    $user->(add => 'carl', 'third');
    is_refusal($get->("Token $early"), ['GET'], 'with users it is worth nothing');
    my $carl = $get->(basic('carl:third'))->header('X-Docker-Token');
    is_status($get->("Token $carl"), 200, 'a token of a user');
    $user->(add => 'dan', 'fourth');
    is_status($get->("Token $carl"), 200, '... when another one comes');
    $user->(add => 'carl', 'changed');
    ok(wait_for(5, sub { $get->("Token $carl")->status == 401 }), '... ends with his password');
    my $dan = $get->(basic('dan:fourth'))->header('X-Docker-Token');
    is_status($get->("Token $dan"), 200, 'a token of the other one');
    $user->(del => 'dan');
    ok(wait_for(5, sub { $get->("Token $dan")->status == 401 }), '... ends with him');
    $own->stop;
};

subtest 'without users' => sub {
    my $open = Registry->start;
    my $at   = '127.0.0.1:' . $open->port;
    for my $header (undef, 'Basic Og==', basic('ann:secret'), 'Token ', 'Token x', "Token $token") {
        my %with = defined $header ? with($header) : ();
        subtest $header // 'nothing' => sub {
            is_let_in(ask($open, $_, %with), "$_->[0] $_->[1]", 'anon', $at) for @closed;
        };
    }
    my $made = $open->post('/v1/users/', body => '{"username":"x","password":"y","email":"z"}');
    is_status($made, 201, 'docker login makes an account');
    is($made->content, '"User Created"', '... it is told');
    is_status($open->put('/v1/users/x/', body => '{}'), 204, '... and may change it');
    is_status($open->get('/v1/users/'), 200, '... but nobody needs one');
    $open->stop;
};

# ---- what docker does ----

# Each answer of a conversation is the one that docker waits for; returns whether all were.
sub goes_well ($name, @steps) {
    my @wrong = grep { $_->[1]->status != $_->[2] } @steps;
    return ok(!@wrong && @steps, $name) || diag(map { "$_->[0], not $_->[2]: " . $_->[1]->describe } @wrong);
}

sub push_and_pull ($name, $v1, $repository, @images) {
    goes_well("$name: push", $v1->push_images($repository, 'latest', @images));
    my $pulled = $v1->pull_images($repository, 'latest');
    goes_well("$name: pull", @{ $pulled->{steps} });
    is_deeply([ map { [ $_->{json}, $_->{layer} ] } @{ $pulled->{images} } ], [ map { [ $_->{json}, $_->{layer} ] } @images ],
        '... the same bytes');
    return;
}

subtest 'docker over plain HTTP: a password first, then the token' => sub {
    my $server = Registry->start(args => \@users);
    for my $version ('1.6', '17.05') {
        my @images = (image('A sent'), image('B sent'), random_chain(3));
        $images[2]{json} =~ s/\{/{"parent":"$images[1]{id}",/;
        $images[2]{payload} = payload_of(@{ $images[2] }{qw(json layer)});
        my $v1 = Registry::V1->new($server->with, user => 'ann:secret', version => $version);
        push_and_pull("docker $version", $v1, "team/v$version", @images);
        like($v1->{token}, qr/^ann\./, '... with its token');
        for my $user ('ann:wrong', undef) {
            my $stranger = Registry::V1->new($server->with, user => $user, version => $version);
            my $name     = "docker $version with " . (defined $user ? 'a wrong password' : 'none');
            is_refusal($stranger->begin('team/x', 'latest', @images), ['PUT'], "$name: no push");
            is_refusal($stranger->get('/v1/repositories/team/app/images', session => 1), ['GET'], '... no pull');
            is_refusal($stranger->put_json($images[0]), ['PUT'], '... no image');
            is_refusal($stranger->put_layer($images[0]), ['PUT'], '... no layer');
        }
    }
    is_tidy($server);
    $server->stop;
};

subtest 'a restart in the middle of a push' => sub {
    my $server = Registry->start(args => \@users);
    my @images = random_chain(3);
    my $v1     = Registry::V1->new($server->with, user => 'ann:secret', version => '17.05');
    goes_well('before it', [ 'PUT repository', $v1->begin('team/app', 'latest', @images), 200 ], $v1->push_image($images[0]));
    $server->stop;
    $server = Registry->start(dir => $server->dir, args => \@users);
    $v1->{client} = $server->with;
    goes_well('after it, with the token from before', (map { $v1->push_image($_) } @images[ 1, 2 ]),
        [ 'PUT tag', $v1->put_tag('team/app', 'latest', $images[2]{id}), 200 ], [ 'PUT images', $v1->finish_push('team/app'), 204 ]);
    $server->stop;
};

subtest 'over TLS' => sub {
    plan skip_all => 'openssl or curl is not installed' if !find_program('openssl') || !find_program('curl');
    my ($cert, $key) = make_certificate(tempdir(), 'registry');
    my @tls    = ('--tls-cert', $cert, '--tls-key', $key);
    my $server = Registry->start(args => [ @tls, @users ]);
    my $at     = '127.0.0.1:' . $server->port;
    for my $version ('--http1.1', '--http2') {
        my $client = Registry::Curl->new("https://$at", '--cacert', $cert, $version);
        is_let_in(my $got = $client->get('/v1/users', with(basic('ann:secret'))), "$version: a password", 'ann', $at);
        my $its = $got->header('X-Docker-Token');
        is_let_in($client->get('/v1/users', with("Token $its")), '... its token', 'ann', $at, $its);
        is_refusal($client->get('/v1/users', with($_)), ['GET'], "... $_")
            for 'Basic Og==', 'Token ', "Token x$its", basic('ann:wrong');
    }
    my $client = Registry::Curl->new("https://$at", '--cacert', $cert);
    my @images = (image('A'), image('B'), image('C'));
    push_and_pull('docker, with its password each time', Registry::V1->new($client, https => 1, user => 'ann:secret'), 'team/app', @images);
    my $stranger = Registry::V1->new($client, https => 1);
    is_refusal($stranger->begin('team/app', 'latest', @images), ['PUT'], 'docker without one: no push');
    is_refusal($stranger->put_layer($images[0]), ['PUT'], '... no layer');
    $server->stop;

    my $open = Registry->start(args => \@tls);
    $client = Registry::Curl->new('https://127.0.0.1:' . $open->port, '--cacert', $cert);
    push_and_pull('without users, with an empty password', Registry::V1->new($client, https => 1), 'team/app', @images);
    $open->stop;
};

# ---- behind somebody else's nginx ----

sub printed ($part, @options) {
    my $ran = Registry->try([ 'print-nginx-conf', "--$part", @options ]);
    die "print-nginx-conf: $ran->{err}" if $ran->{exit} != 0;
    return $ran->{out};
}

my $tmp = tempdir();

subtest 'behind an nginx that is there already' => sub {
    my @options = ('--dir', "$tmp/f", '--fastcgi', "$tmp/sockets");
    my $behind  = Registry->start(dir => "$tmp/f", fastcgi => "$tmp/sockets", args => \@users);
    my $nginx   = Registry::Nginx->start(
        files  => { 'http.conf' => printed('http', @options), 'locations.conf' => printed('server', @options) },
        http   => 'include http.conf;',
        server => "auth_basic site;\nadd_header WWW-Authenticate Negotiate always;\ninclude locations.conf;",
    ) or return fail(Registry::Nginx->last_words);
    every_route($behind, $nginx->client, 'every route');
    push_and_pull('docker', Registry::V1->new($nginx->client, user => 'ann:secret'), 'team/pushed', random_chain(4));
    is_tidy($behind);
    $nginx->stop;
    $behind->stop;
};

subtest '--trust-remote-user' => sub {
    my @options  = ('--dir', "$tmp/t", '--fastcgi', "$tmp/sockets-t", '--trust-remote-user');
    my $trusting = Registry->start(dir => "$tmp/t", fastcgi => "$tmp/sockets-t", args => ['--trust-remote-user']);
    my %files    = (
        'http.conf'      => printed('http',   @options),
        'locations.conf' => printed('server', @options),
        'site.htpasswd'  => "eve:{PLAIN}hers\n",
    );
    my $nginx = Registry::Nginx->start(
        files  => \%files,
        http   => 'include http.conf;',
        server => [
            "auth_basic site;\nauth_basic_user_file site.htpasswd;\nset \$registry_remote_user_main \$remote_user;\ninclude locations.conf;",
            "set \$registry_remote_user_main \"\";\ninclude locations.conf;",
        ],
    ) or return fail(Registry::Nginx->last_words);
    my $site = $nginx->client;
    is_deeply($site->get('/v1/users', with(basic('eve:hers')))->json, { username => 'eve' }, 'the user is whom the site names');
    is_status($site->get('/v1/users', with(basic('eve:hers'))), 200, 'who asks gets no token', 'X-Docker-Token' => undef,
        'X-Docker-Endpoints' => '127.0.0.1:' . $nginx->port);
    my $put = $site->put('/v1/users/eve', body => '{}', with(basic('eve:hers')));
    like($put->header('X-Docker-Token'), qr/^eve\./, 'who pushes does: docker up to 1.6 wants to see one');
    my $its = $put->header('X-Docker-Token');
    for my $bad ([ 'nothing', {} ], [ 'a token of ours', { Authorization => "Token $its" } ], [ 'an empty one', { Authorization => 'Basic Og==' } ]) {
        my ($name, $headers) = @$bad;
        for my $i (0, 1) {
            my $refused = $nginx->client($i)->get('/v1/users', headers => $headers);
            is_status($refused, 401, ($i ? 'a site that names nobody: ' : 'a site with passwords: ') . $name);
            unlike($refused->header('WWW-Authenticate') // '', qr/Token/, '... and it is not asked for a token');
        }
    }
    $nginx->stop;
    $trusting->stop;
};

finish();
