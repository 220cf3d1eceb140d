# The second API gives tokens for a password, and takes them for what they were given.
use v5.36;
use Registry limit => 180;
use Digest::SHA qw(hmac_sha256 sha256);
use MIME::Base64 qw(encode_base64 encode_base64url decode_base64url);
use Registry::Checks;
use Registry::Tools;
use Test::More;
use Time::HiRes qw(sleep time);

my $SERVICE = 'docker-registry-server';
my @USERS   = ('--user', 'ann:secret', '--user', 'bob:second');

my $registry = Registry->start(args => [ @USERS, '--token-lifetime', '2m' ], user => 'ann:secret');
my $nobody   = $registry->with;
my $realm    = 'http://127.0.0.1:' . $registry->port . '/v2/_token';
my $bytes    = random_bytes(1000);
my $digest   = digest($bytes);
$registry->push_image('team/app',   'v1', [$bytes]);
$registry->push_image('team/other', 'v1', [ random_bytes(1000) ]);

sub bearer ($token) { return (headers => { Authorization => "Bearer $token" }) }

sub escape ($text) { return $text =~ s/([^\w.-])/sprintf '%%%02X', ord $1/ger }

# The answer to a request for a token of these scopes.
sub ask ($client, $scopes, @more) {
    return $client->get('/v2/_token?' . join '&', "service=$SERVICE", (map { 'scope=' . escape($_) } @$scopes), @more);
}

sub token ($client, @scopes) { return ask($client, \@scopes)->json->{token} // die "no token\n" }

sub form ($client, %fields) {
    return $client->post('/v2/_token', body => join('&', map { "$_=" . escape($fields{$_}) } sort keys %fields),
        headers => { 'Content-Type' => 'application/x-www-form-urlencoded' });
}

# The only challenge of a 401, and its parts.
sub challenge ($response) {
    my @all = @{ $response->{headers}{'www-authenticate'} // [] };
    return { n => scalar @all } if @all != 1 || $response->status != 401 || $all[0] !~ /^Bearer (.*)$/;
    return { $1 =~ /(\w+)="([^"]*)"/g };
}

# A token as the server makes it.
sub mint (%o) {
    my $key    = slurp($registry->dir . '/auth/token.key');
    my ($line) = grep { /^\Q$o{user}\E:/ } split /\n/, slurp($registry->dir . '/run/htpasswd');
    my $head   = pack('CCQ>Q>n/aC', 1, $o{kind} // 1, $o{issued} // time, $o{expiry} // time + 60, $o{user}, 0)
        . join '', map { pack 'Cn/a', @$_ } @{ $o{grants} // [] };
    my $stamp   = defined $line ? substr sha256($line), 0, 16 : '';
    my $derived = hmac_sha256(($o{kind} // 1) == 2 ? 'refresh' : 'access', hmac_sha256('bearer', $key));
    return encode_base64url($head . hmac_sha256($head, hmac_sha256($stamp, $derived)));
}

subtest 'a 401 tells where to get a token, and of which scope' => sub {
    my $place = $registry->start_upload('team/app');
    my %SCOPES = (
        'GET /v2/'                                   => undef,
        'GET /v2/nothing/here'                       => undef,
        'GET /v2/_catalog'                           => 'registry:catalog:*',
        'GET /v2/team/app/tags/list'                 => 'repository:team/app:pull',
        'HEAD /v2/team/app/manifests/v1'             => 'repository:team/app:pull',
        "GET /v2/team/app/blobs/$digest"             => 'repository:team/app:pull',
        "GET /v2/team/app/referrers/$digest"         => 'repository:team/app:pull',
        'GET /v2/team/app/_image/v1/tree/etc'        => 'repository:team/app:pull',
        'GET /v2/no/such/tags/list'                  => 'repository:no/such:pull',
        'PUT /v2/team/app/manifests/v1'              => 'repository:team/app:pull,push',
        'DELETE /v2/team/app/manifests/v1'           => 'repository:team/app:delete',
        "DELETE /v2/team/app/blobs/$digest"          => 'repository:team/app:delete',
        'POST /v2/team/app/blobs/uploads/'           => 'repository:team/app:pull,push',
        "POST /v2/team/app/blobs/uploads/?digest=$digest"   => 'repository:team/app:pull,push',
        "POST /v2/x/blobs/uploads/?mount=$digest&from=team/app" => 'repository:x:pull,push repository:team/app:pull',
        "POST /v2/x/blobs/uploads/?mount=$digest"    => 'repository:x:pull,push',
        "POST /v2/x/blobs/uploads/?mount=$digest&from=a%22b" => 'repository:x:pull,push',
        "PATCH $place"                               => 'repository:team/app:pull,push',
        "PUT $place?digest=$digest"                  => 'repository:team/app:pull,push',
        "GET $place"                                 => 'repository:team/app:pull,push',
        "DELETE $place"                              => 'repository:team/app:pull,push',
    );
    for my $what (sort keys %SCOPES) {
        my ($method, $path) = split / /, $what;
        my $response = $nobody->request($method, $path, $method =~ /^P/ ? (body => 'x' x 100) : ());
        my $want     = { realm => $realm, service => $SERVICE, defined $SCOPES{$what} ? (scope => $SCOPES{$what}) : () };
        is_deeply(challenge($response), $want, $what =~ s/(sha256:\w{6})\w+/$1/r) or diag($response->describe);
    }
    $registry->delete($place);
    my $v1 = $nobody->get('/v1/search')->{headers}{'www-authenticate'};
    is_deeply($v1, [ 'Basic realm="registry"', 'Token' ], 'the first API has its own challenges');
};

subtest 'the realm is the address that the client used' => sub {
    for my $host ('registry.example.com', 'registry.example.com:5000', '[::1]:5000', 'a_b') {
        my $response = $nobody->get('/v2/', headers => { Host => $host });
        is(challenge($response)->{realm}, "http://$host/v2/_token", $host);
    }
    for my $host ('a"b', 'a b', 'evil.example.com/x?', 'a,b', 'x' x 400) {
        my $response = $nobody->get('/v2/', headers => { Host => $host });
        like($response->status == 400 ? $realm : challenge($response)->{realm}, qr{^\Q$realm\E$}, 'not ' . substr $host, 0, 20);
    }
    my $old = $nobody->raw("GET /v2/ HTTP/1.0\r\n\r\n");
    is(challenge($old)->{realm}, $realm, 'without a Host it is the address that was reached');
    is(challenge($nobody->get('/v2/', headers => { 'X-Forwarded-Proto' => 'https' }))->{realm}, $realm =~ s/http/https/r, 'a proxy may end TLS');
    is(challenge($nobody->get('/v2/', headers => { 'X-Forwarded-Proto' => $_ }))->{realm}, $realm, "... but not speak $_")
        for 'http', 'ftp', 'https", x="', 'https, http';
    for my $name ('X-Forwarded-Host', 'Request-Scheme', 'REQUEST_SCHEME', 'Forwarded') {
        my $response = $nobody->get('/v2/', headers => { $name => 'https' });
        is(challenge($response)->{realm}, $realm, "$name changes nothing");
    }
    my $public = Registry->start(args => [ @USERS, '--base-url', 'https://hub.example.com:8443/' ]);
    is(challenge($public->get('/v2/', headers => { Host => 'other' }))->{realm}, 'https://hub.example.com:8443/v2/_token', '--base-url');
    is(challenge($public->post('/v2/a/blobs/uploads/', body => 'x'))->{realm}, 'https://hub.example.com:8443/v2/_token', '... of an upload');
};

subtest 'a token for a password' => sub {
    my $answer = ask($registry, [ 'repository:team/app:pull,push', 'repository:team/other:pull' ], 'account=ann', 'client_id=test');
    is_status($answer, 200, 'is given', 'Cache-Control' => 'no-store', 'Content-Type' => qr{^application/json\b});
    my $json = $answer->json;
    is($json->{access_token}, $json->{token}, 'under both names');
    is($json->{expires_in}, 120, '... for --token-lifetime');
    like($json->{issued_at}, qr/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z$/, '... from now on');
    is($json->{scope}, 'repository:team/app:pull,push repository:team/other:pull', '... for both scopes');
    ok(!exists $json->{refresh_token}, '... and no other one');
    like($json->{token}, qr/^[\w-]+$/, 'it is safe in URLs and headers');
    unlike($answer->content, qr/secret/, 'the password is not in it');

    my $token = $json->{token};
    is_status($nobody->get('/v2/',                        bearer($token)), 200, '/v2/');
    is_status($nobody->get('/v2/team/app/manifests/v1',   bearer($token)), 200, 'it pulls');
    is_status($nobody->get('/v2/team/app/manifests/v1', headers => { Authorization => "bearer   $token" }), 200, '... in any spelling');
    is_status($nobody->get('/v2/team/other/manifests/v1', bearer($token)), 200, '... from both');
    my $posted = $nobody->post('/v2/team/app/blobs/uploads/', body => '', bearer($token));
    is_status($posted, 202, 'it begins an upload');
    my $place = $nobody->place_of($posted);
    is_status($nobody->patch($place, body => 'abc', bearer($token)), 202, '... goes on');
    is_status($nobody->put($nobody->with_digest($place, digest('abc')), body => '', bearer($token)), 201, '... and ends it');
    is_status($nobody->post("/v2/team/app/blobs/uploads/?mount=" . digest('abc') . '&from=team/app', body => '', bearer($token)), 201, 'it mounts');

    my %MORE = (
        'repository:team/app:delete'     => $nobody->delete('/v2/team/app/manifests/v1', bearer($token)),
        'repository:team/other:pull,push' => $nobody->post('/v2/team/other/blobs/uploads/', body => 'x', bearer($token)),
        'repository:team/third:pull'     => $nobody->get('/v2/team/third/tags/list', bearer($token)),
        'registry:catalog:*'             => $nobody->get('/v2/_catalog', bearer($token)),
    );
    for my $scope (sort keys %MORE) {
        is_error($MORE{$scope}, 401, 'UNAUTHORIZED', "not for $scope");
        is_deeply(challenge($MORE{$scope}), { realm => $realm, service => $SERVICE, scope => $scope, error => 'insufficient_scope' },
            '... and the answer asks for that') or diag($MORE{$scope}->describe);
    }
    is_v1_error($nobody->get('/v1/search', bearer($token)), 401, 'the first API takes none for a repository');
    is_error(ask($nobody, ['repository:team/app:pull'], 'service=x'), 401, 'UNAUTHORIZED', 'without a password there is none');
    is_error($nobody->get('/v2/_token?scope=repository:team/app:pull', bearer($token)), 401, 'UNAUTHORIZED', '... nor for a token');
};

subtest 'scopes' => sub {
    my %GRANTED = (
        'repository:a:pull repository:b:push'          => 'repository:a:pull repository:b:push',
        'repository:a:pull  repository:a:delete '      => 'repository:a:pull,delete',
        'repository:a:*'                               => 'repository:a:pull,push,delete,*',
        'repository(plugin):team/x:pull'               => 'repository:team/x:pull',
        'registry:catalog:*'                           => 'registry:catalog:*',
        'repository:UPPER:pull repository:a:pull'      => 'repository:a:pull',
        'repository:a:sing'                            => '',
        'nonsense'                                     => '',
        'aws:x:pull registry:catalog:pull'             => '',
        ''                                             => '',
    );
    for my $asked (sort keys %GRANTED) {
        my $answer = ask($registry, [$asked]);
        is_status($answer, 200, "'$asked'");
        is($answer->json->{scope}, $GRANTED{$asked}, '... is granted as far as it is one');
    }
    my $all = ask($registry, [ map { "repository:r$_:pull" } 1 .. 60 ])->json;
    is(scalar(split / /, $all->{scope}), 60, 'many scopes in one token');
    is_status($nobody->get('/v2/r60/tags/list', bearer($all->{token})), 404, '... each counts');
    my $most = ask($registry, [ join ' ', map { 'repository:' . 'n' x 240 . ":pull repository:m$_/" . 'n' x 230 . ':pull' } 1 .. 30 ])->json;
    cmp_ok(length $most->{token}, '<', 7500, 'however much is asked for, a token fits into a header');
    is_status($nobody->get('/v2/', bearer($most->{token})), 200, '... and is valid');
    my @lists = map { $_->json->{repositories} } $registry->get('/v2/_catalog'),
        $nobody->get('/v2/_catalog', bearer(token($registry, 'registry:catalog:*')));
    is_deeply($lists[1], $lists[0], 'a token for lists shows what its user sees');
    my $lists = ask($registry, ['registry:catalog:search'])->json;
    is($lists->{scope}, 'registry:catalog:*', 'docker asks for it in other words');
    my $found = $nobody->get('/v1/search?q=team/app', bearer($lists->{token}));
    is_status($found, 200, '... to search by the first API');
    is($found->json->{results}[0]{name}, 'team/app', '... which shows what its user sees');
    is($found->header('X-Docker-Token'), undef, '... and gives no token of the first API');
    is_v1_error($nobody->get($_, bearer($lists->{token})), 401, "... nor $_") for '/v1/repositories', '/v1/repositories/team/app/tags', '/v1/users';
    is_error($registry->get('/v2/_token?' . 'scope=x&' x 70), 401, 'UNAUTHORIZED', 'of too many parameters the password isn\'t looked at');
};

subtest 'invalid tokens' => sub {
    my $good = mint(user => 'ann', grants => [ [ 3, 'team/app' ] ]);
    is_status($nobody->get('/v2/team/app/tags/list', bearer($good)), 200, 'the one that they are made of is valid');
    my $flipped = decode_base64url($good);
    substr($flipped, 30, 1) ^.= "\x01";
    my %BAD = (
        'expired'          => mint(user => 'ann', expiry => time - 1, grants => [ [ 3, 'team/app' ] ]),
        'of nobody'        => mint(user => 'eve', grants => [ [ 3, 'team/app' ] ]),
        'a flipped bit'    => encode_base64url($flipped),
        'cut'              => substr($good, 0, -1),
        'a refresh token'  => mint(user => 'ann', kind => 2),
        'of another kind'  => mint(user => 'ann', kind => 3),
        'nothing'          => '',
        'not base64'       => '***',
        'of the first API' => 'ann.' . int(time + 60) . '.' . 'A' x 43,
        'huge'             => 'A' x 20_000,
    );
    for my $name (sort keys %BAD) {
        for my $request ([ GET => '/v2/' ], [ GET => '/v2/team/app/manifests/v1' ], [ POST => '/v2/team/app/blobs/uploads/', 'x' x 1000 ], [ GET => '/v2/none' ]) {
            my ($method, $path, $body) = @$request;
            my $response = $nobody->request($method, $path, body => $body, bearer($BAD{$name}));
            is_error($response, 401, 'UNAUTHORIZED', "$name: $method $path");
            # nginx cuts the blank at the end of a header, and then it names no token
            is(challenge($response)->{error}, $name eq 'nothing' ? undef : 'invalid_token', '... which says why') or diag($response->describe);
        }
    }
    my $other = Registry->start(args => [@USERS]);
    is_status($other->get('/v2/', bearer(token($registry))), 401, 'another registry takes none');
};

subtest 'a token has to be valid when a request begins' => sub {
    my $place    = $registry->start_upload('team/app');
    my %requests = (
        'an upload'  => [ PATCH => $place, 'x' x 1000, 202 ],
        'a manifest' => [ PUT => '/v2/team/app/manifests/slow', $registry->get('/v2/team/app/manifests/v1')->content, 201 ],
    );
    my $token = mint(user => 'ann', expiry => int(time) + 3, grants => [ [ 3, 'team/app' ] ]);
    my %begun;
    for my $name (sort keys %requests) {
        my ($method, $path, $body) = @{ $requests{$name} };
        my %headers = (Authorization => "Bearer $token", 'Content-Length' => length $body, 'Content-Type' => $Registry::Client::TYPE{manifest});
        $begun{$name} = $nobody->connect;
        $begun{$name}->send($nobody->head_of($method, $path, headers => \%headers) . substr $body, 0, 10);
    }
    ok(wait_for(10, sub { $nobody->get('/v2/', bearer($token))->status == 401 }), 'it expires');
    sleep 1;
    for my $name (sort keys %requests) {
        my ($method, $path, $body, $status) = @{ $requests{$name} };
        $begun{$name}->send(substr $body, 10);
        is_status($begun{$name}->response($method), $status, "... during $name, which ends well");
        is_status($nobody->request($method, $path, body => $body, bearer($token)), 401, '... but not after it');
    }
    $registry->delete($place);
};

subtest 'who may do nothing gets a challenge for a password' => sub {
    for my $scope ([], ['repository:team/app:pull'], ['registry:catalog:*']) {
        my $answer = ask($nobody, $scope);
        is_error($answer, 401, 'UNAUTHORIZED', "anonymous: @$scope");
        is_deeply($answer->{headers}{'www-authenticate'}, ['Basic realm="registry"'], '... Basic');
    }
    my $wrong = ask($registry->with(user => 'ann:wrong'), ['repository:team/app:pull']);
    is_error($wrong, 401, 'UNAUTHORIZED', 'a wrong password');
    is_deeply($wrong->{headers}{'www-authenticate'}, ['Basic realm="registry"'], '... Basic');
    like($wrong->message, qr/wrong user name or password/, '... in words');
    is_status(ask($registry->with(user => 'ann:second'), []), 401, "somebody else's password");
    is_error($registry->request($_, '/v2/_token', body => ''), 405, 'UNSUPPORTED', "$_ there") for 'PUT', 'DELETE', 'PATCH';
    is_status($registry->request('HEAD', '/v2/_token'), 405, 'HEAD there');
};

# The file of the first user closes the registry before nginx hears of it.
subtest 'while the first user is added' => sub {
    my $first = Registry->start(args => [ '--max-wrong-passwords', 0 ]);
    my $user  = $first->with(user => 'ann:secret');
    my ($added, %seen);
    my $until = time + 10;
    while (time < $until && !$seen{200}) {
        spew($first->dir . '/auth/htpasswd', 'ann:' . crypt('secret', '$5$salt') . "\n") if !$added++;
        my $answer = ask($user, ['repository:a:pull']);
        $seen{ $answer->status }++ if $first->get('/v2/')->status == 401;
        sleep 0.01;
    }
    is_deeply([ sort keys %seen ], $seen{401} ? [ 200, 401 ] : [200], 'a request for a token is refused, or gets one');
};

# A hash of bcrypt takes a fifth of a second, during which nginx does nothing else.
subtest 'a password is hashed once, and not for each token' => sub {
    my $file = $registry->dir . '/auth/htpasswd';
    spew($file, 'slow:' . crypt('right', '$2b$12$abcdefghijklmnopqrstuu') . "\n");
    my $slow = $registry->with(user => 'slow:right');
    ok(wait_for(10, sub { ask($slow, ['repository:team/app:pull'])->status == 200 }), 'a user with a slow hash gets a token');
    my $known = sub { (stat $registry->dir . '/run/access')[1] };    # the workers know a user by this file
    my $was   = $known->();
    spew($file, 'slow:' . crypt('right', '$2b$12$bbcdefghijklmnopqrstuu') . "\n");
    ok(wait_for(10, sub { $known->() != $was }), 'another hash');
    my @took = map { my $begin = time; ask($slow, ['repository:team/app:pull'])->status == 200 ? time - $begin : 99 } 0 .. 10;
    my ($first, @others) = @took;
    my ($middle) = (sort { $a <=> $b } @others)[5];
    cmp_ok($middle, '<', $first / 4, 'only the first request waits for it') or diag("@took");
    is(ask($registry->with(user => 'slow:wrong'), ['repository:team/app:pull'])->status, 401, 'a wrong password is none');
    spew($file, 'slow:' . crypt('other', '$2b$04$abcdefghijklmnopqrstuu') . "\n");
    ok(wait_for(10, sub { ask($slow, ['repository:team/app:pull'])->status == 401 }), 'a password that was changed is forgotten');
    unlink $file;
};

# nginx reads the line of a user, and hashes for some seconds. The password is changed in the meantime.
subtest 'a password that is changed while it is checked gives no token' => sub {
    my $file = $registry->dir . '/auth/htpasswd';
    my $run  = $registry->dir . '/run/htpasswd';
    for my $path ('/v2/_token?offline_token=true', '/v1/users/') {
        spew($file, 'slow:' . crypt('old', '$2b$16$cbcdefghijklmnopqrstuu') . "\n");
        ok(wait_for(10, sub { slurp($run) =~ /cbcdef/ }), 'a user with a slow hash');
        sleep 0.2;
        my $out = $registry->dir . '/answer';
        my $pid = fork // die "fork: $!";
        if ($pid == 0) {
            open STDOUT, '>', $out;
            exec 'curl', '-si', '-u', 'slow:old', 'http://127.0.0.1:' . $registry->port . $path;
        }
        sleep 0.2;
        spew($file, 'slow:' . crypt('new', '$2b$04$dbcdefghijklmnopqrstuu') . "\n");
        ok(wait_for(10, sub { slurp($run) =~ /dbcdef/ }), 'another password');
        ok(!-s $out, '... before the answer');
        waitpid $pid, 0;
        unlike(slurp($out), qr/"token"|^X-Docker-Token:|: Token \S/im, "no token: $path");
        like(slurp($out), qr/^HTTP\S+ $_/, 'the status') for $path =~ /v2/ ? 401 : 200;
        unlink $out;
        is(ask($registry->with(user => 'slow:old'), [])->status, 401, 'the old password is forgotten');
    }
    unlink $file;
};

subtest 'refresh tokens' => sub {
    my $json    = ask($registry, [], 'offline_token=true', 'client_id=docker', 'account=ann')->json;
    my $refresh = $json->{refresh_token} // '';
    like($refresh, qr/^[\w-]{40,}$/, 'one is given to who asks');
    my %form   = (grant_type => 'refresh_token', refresh_token => $refresh, service => $SERVICE, client_id => 'docker');
    my $answer = form($nobody, %form, scope => 'repository:team/app:pull repository:team/new:pull,push');
    is_status($answer, 200, 'it gives access tokens, without a password', 'Cache-Control' => 'no-store');
    is($answer->json->{scope}, 'repository:team/app:pull repository:team/new:pull,push', '... for both scopes');
    is_status($nobody->get('/v2/team/app/tags/list', bearer($answer->json->{access_token})), 200, '... which are taken');
    is_status($nobody->get('/v2/', bearer($refresh)), 401, 'it is good for nothing else');
    for my $bad ($json->{token}, substr($refresh, 0, -2) . 'zz', 'x', '', mint(user => 'ann', kind => 2, expiry => time - 1), mint(user => '', kind => 2), mint(user => 'eve', kind => 2)) {
        my $refused = form($nobody, %form, refresh_token => $bad);
        is_error($refused, 401, 'UNAUTHORIZED', "not '" . substr($bad, 0, 10) . "'");
        is($refused->json->{error}, 'invalid_grant', '... in the form of OAuth2');
        is_deeply($refused->{headers}{'www-authenticate'}, ['Basic realm="registry"'], '... which asks for a password');
    }
    is_status(form($nobody, %form, refresh_token => mint(user => 'ann', kind => 2)), 200, '... though a good one is taken');
    my $password = form($nobody, grant_type => 'password', username => 'ann', password => 'secret', scope => 'repository:a:pull');
    is_error($password, 401, 'UNAUTHORIZED', 'a password in the form is not taken: nginx checks them');
    is($password->json->{error}, 'unsupported_grant_type', '... in the form of OAuth2');
    for my $fields ({}, { grant_type => 'client_credentials' }, { refresh_token => $refresh }) {
        my $refused = form($nobody, %$fields);
        is_error($refused, 400, 'UNSUPPORTED', 'neither: ' . join ' ', sort keys %$fields);
        is($refused->json->{error}, 'unsupported_grant_type', '... in the form of OAuth2');
    }
    is_status(form($nobody, grant_type => 'refresh_token'), 400, 'a missing token');
    is_error($nobody->post('/v2/_token', body => "grant_type=\0"), 400, 'UNSUPPORTED', 'bytes that are no form');
    is_error($nobody->post('/v2/_token', body => 'a=%zz'), 400, 'UNSUPPORTED', '... nor escapes');
    is_error($nobody->post('/v2/_token', body => 'x' x 17_000), 413, 'SIZE_INVALID', 'a body of 17 kB');
    is_error($registry->post('/v2/_token', body => ''), 400, 'UNSUPPORTED', 'an empty one');
    is_error($registry->with(user => 'ann:wrong')->post('/v2/_token', body => ''), 401, 'UNAUTHORIZED', '... with a wrong password');
};

subtest 'tokens end with their user, and with the password' => sub {
    my $own = Registry->start;
    my $run = sub (@args) { return Registry->try([ 'user', @args, '--dir', $own->dir ], stdin => "third\n") };
    $run->('add', 'carl');
    my $carl    = $own->with(user => 'carl:third');
    my $json    = ask($carl, ['repository:a:pull'], 'offline_token=true')->json;
    my %refresh = (grant_type => 'refresh_token', refresh_token => $json->{refresh_token});
    is_status($own->get('/v2/', bearer($json->{token})), 200, 'a token');
    is_status(form($own, %refresh), 200, '... and a refresh token');
    $run->('add', 'dora');
    is_status($own->get('/v2/', bearer($json->{token})), 200, 'another user changes nothing');
    $run->('add', 'carl');    # a new salt: a new line
    is_status($own->get('/v2/', bearer($json->{token})), 401, 'after "user add" it is invalid');
    is_status(form($own, %refresh), 401, '... both');
    $json = ask($carl, ['repository:a:pull'])->json;
    is_status($own->get('/v2/', bearer($json->{token})), 200, 'a new token');
    $run->('del', 'carl');
    is_status($own->get('/v2/', bearer($json->{token})), 401, 'a user who is removed has none');
};

subtest 'rotate-key' => sub {
    my $own = Registry->start(args => [@USERS], user => 'ann:secret');
    my $v1  = sub { return $own->get('/v1/search')->header('X-Docker-Token') };
    # A token of the second API, one of the first, and a refresh token.
    my $give = sub {
        my $json = ask($own, ['registry:catalog:*'], 'offline_token=true')->json;
        return [ $json->{token}, $v1->(), $json->{refresh_token} ];
    };
    my $statuses = sub ($tokens) {
        return join ' ', map { $_->status } $own->with->get('/v2/_catalog', bearer($tokens->[0])),
            $own->with->get('/v1/search', headers => { Authorization => "Token $tokens->[1]" }),
            form($own->with, grant_type => 'refresh_token', refresh_token => $tokens->[2]);
    };
    my $rotate = sub (@args) { return Registry->try([ 'rotate-key', '--dir', $own->dir, @args ]) };
    my $first  = $give->();
    my $key    = slurp($own->dir . '/auth/token.key');
    is($statuses->($first), '200 200 200', 'tokens');
    my $ran = $rotate->();
    is("$ran->{exit}$ran->{out}$ran->{err}", '0', 'the key is replaced, and nothing is said');
    isnt(slurp($own->dir . '/auth/token.key'), $key, '... by another');
    is_deeply([ map { sprintf '%o', (stat $own->dir . "/auth/$_")[2] & 07777 } 'token.key', 'token.key.old' ], [ '600', '600' ], '... which others can not read');
    is_deeply([ map { (stat $own->dir . "/auth/$_")[4] } 'token.key', 'token.key.old' ], [ ((stat $own->dir . '/auth')[4]) x 2 ], '... and which are the server\'s');
    is($statuses->($first), '200 200 200', 'older tokens stay valid') for 1 .. 4;
    my $second = $give->();
    isnt(substr($second->[2], -20), substr($first->[2], -20), 'new ones differ');
    is($statuses->($second), '200 200 200', '... and are valid');
    $rotate->();
    is($statuses->($first),  '401 401 401', 'another rotation ends those from before the first');
    is($statuses->($second), '200 200 200', '... and no others');
    my $third = $give->();
    is($rotate->('--now')->{exit}, 0, '--now');
    is($statuses->($_), '401 401 401', 'ends all') for $second, $third;
    is($statuses->($give->()), '200 200 200', '... but not what is given afterwards');
    is($rotate->('x')->{exit}, 2, 'it takes no words');
    my $none = Registry->try([ 'rotate-key', '--dir', tempdir() ]);
    is($none->{exit}, 1, 'without a registry');
    like($none->{err}, qr/no registry/, '... it says so');
};

subtest 'without users' => sub {
    my $open = Registry->start;
    is_status($open->get('/v2/'), 200, 'nobody is asked');
    my $answer = ask($open, [ 'repository:a:pull,push', 'registry:catalog:*' ], 'offline_token=true');
    is_status($answer, 200, 'there are tokens for whoever wants them');
    is($answer->json->{scope}, 'repository:a:pull,push registry:catalog:*', '... for everything');
    ok(!exists $answer->json->{refresh_token}, '... but none of a user');
    for my $token ($answer->json->{token}, 'x', token($registry)) {
        is_status($open->post('/v2/b/blobs/uploads/', body => '', bearer($token)), 202, 'none bounds anything');
    }
};

unlike($registry->log . $registry->output, qr/secret|AQ[EI]AAAAA/, 'neither passwords nor tokens are in the log');
# It comes through the question that nginx asks before the body, whose buffer is small.
subtest 'the longest challenge of an upload' => sub {
    my $url   = 'https://' . join '.', ('h' x 60) x 4;
    my $far   = Registry->start(args => [ @USERS, '--base-url', $url ]);
    my @names = map { join '/', ($_ x 63) x 4 } 'm', 'n';
    my $asked = $far->post("/v2/$names[0]/blobs/uploads/?mount=$digest&from=$names[1]", body => 'x' x 10);
    is_status($asked, 401, 'an upload without a user');
    my $ran = Registry->try([ 'check', '--base-url', 'https://' . 'h' x 254, '--dir', $far->dir ]);
    is($ran->{exit}, 2, 'a host of 254 letters is no host name');
    like($ran->{err}, qr/--base-url/, '... and that is said');
    like(join(' ', @{ $asked->{headers}{'www-authenticate'} }), qr/\Q$url\E.*$names[0].*$names[1]/, '... is told the whole scope');
};

finish();
