# With users, everything but what must be free needs a password, and a refusal comes before the body.
use v5.36;
use Registry limit => 90;
use MIME::Base64 qw(encode_base64);
use Registry::Checks;
use Registry::Process;
use Registry::Tools;
use Test::More;
use Time::HiRes qw(time);

my $PASSWORD = 'p4ss:word ';
my $registry = Registry->start(
    user => "ann:$PASSWORD",
    args => [ '--user', "ann:$PASSWORD", '--user=bob:second-secret', '-u', 'eve:x' ],
);
my $nobody = $registry->with;
my $bytes  = random_bytes(10_000);
my $digest = digest($bytes);
is_status($registry->push_image('team/app', 'v1', [$bytes]), 201, 'the right password pushes');
is_blob($registry, 'team/app', $bytes, '... and pulls');
is_status($registry->with(user => 'bob:second-secret')->get('/v2/'), 200, 'so does that of another user');
my $place = $registry->start_upload('team/app');

my @ROUTES = (
    [ GET    => '/v2/' ],
    [ HEAD   => '/v2/' ],
    [ GET    => '/v2/team/app/tags/list' ],
    [ GET    => '/v2/team/app/manifests/v1' ],
    [ HEAD   => '/v2/team/app/manifests/v1' ],
    [ PUT    => '/v2/team/app/manifests/v2', '{}' ],
    [ DELETE => '/v2/team/app/manifests/v1' ],
    [ GET    => "/v2/team/app/blobs/$digest" ],
    [ HEAD   => "/v2/team/app/blobs/$digest" ],
    [ DELETE => "/v2/team/app/blobs/$digest" ],
    [ POST   => '/v2/team/app/blobs/uploads/', '' ],
    [ POST   => "/v2/team/app/blobs/uploads/?digest=$digest", $bytes ],
    [ POST   => "/v2/team/other/blobs/uploads/?mount=$digest&from=team/app", '' ],
    [ GET    => $place ],
    [ PATCH  => $place, $bytes ],
    [ PUT    => $registry->with_digest($place, $digest), $bytes ],
    [ DELETE => $place ],
    [ GET    => '/v2/no/such/tags/list' ],
    [ GET    => '/v2/no/such/manifests/v1' ],
    [ GET    => '/v2/_catalog' ],
);

sub basic ($pair) { return 'Basic ' . encode_base64($pair, '') }

my %REFUSED = (
    'no credentials'           => undef,
    'a wrong password'         => basic('ann:wrong'),
    'in small letters'         => lc('Basic') . ' ' . encode_base64('ann:wrong', ''),
    'with two blanks'          => 'Basic  ' . encode_base64('ann:wrong', ''),
    'no such user'             => basic('mallory:x'),
    'an empty password'        => basic('ann:'),
    'the hash of nothing'      => basic('eve:'),
    "somebody else's password" => basic('ann:second-secret'),
    'the empty credential'     => 'Basic Og==',
    '... in small letters'     => 'basic Og==',
    '... with two blanks'      => 'Basic  Og==',
    'a token'                  => 'Bearer ' . 'x' x 40,
    'an old token'             => 'Token x',
    'nonsense'                 => 'Basicx ' . encode_base64("ann:$PASSWORD", ''),
    'not base64'               => 'Basic ****',
    'a user without colon'     => basic('ann'),
);

for my $name (sort keys %REFUSED) {
    subtest "refused: $name" => sub {
        my %headers = defined $REFUSED{$name} ? (Authorization => $REFUSED{$name}) : ();
        $headers{'Remote-User'} = $headers{'X-Remote-User'} = 'ann';
        # nginx refuses passwords, and asks for another one; everybody else may get a token.
        my $by_nginx  = ($REFUSED{$name} // '') =~ /^basic/i && $REFUSED{$name} !~ / Og==$/;
        my $challenge = $by_nginx ? qr/^Basic realm="[^"]+"$/ : qr{^Bearer realm="http://127\.0\.0\.1:\d+/v2/_token",service="[^"]+"};
        for my $route (@ROUTES) {
            my ($method, $path, $body) = @$route;
            my $response = $nobody->request($method, $path, body => $body, headers => {%headers});
            my $label    = "$method " . $path =~ s/sha256:\K(\w{6})\w+/$1/gr;
            is_status($response, 401, $label, 'WWW-Authenticate' => $challenge,
                'Docker-Distribution-Api-Version' => 'registry/2.0');
            is_error($response, 401, 'UNAUTHORIZED', '... in its form') if $method ne 'HEAD';
        }
    };
}

subtest 'accepted' => sub {
    my $pair = encode_base64("ann:$PASSWORD", '');
    for my $header ("Basic $pair", "basic $pair", "BASIC $pair", "Basic  $pair") {
        is_status($nobody->get('/v2/', headers => { Authorization => $header }), 200, $header =~ s/ \w+=*$//r . ' …');
        is_status($nobody->patch($place, body => 'x', headers => { Authorization => $header }), 202, '... for an upload');
    }
    is_status($registry->delete($place), 204, 'the upload is still there');
};

subtest 'free for all' => sub {
    for my $path ('/', '/healthz', '/_ping', '/v1/_ping') {
        is_status($nobody->get($path), 200, "GET $path");
        is_status($nobody->get($path, headers => { Authorization => basic('ann:wrong') }), 200, '... also with a wrong password');
    }
    for my $path ('/v2/', '/v2/team/app/tags/list', '/v2/team/app/blobs/uploads/') {
        my $response = $nobody->request('OPTIONS', $path);
        like($response->status, qr/^(?:200|204)$/, "OPTIONS $path");
    }
};

subtest 'a refusal comes before the body' => sub {
    my $begun = $registry->start_upload('team/app');
    my %ways  = (
        'PATCH in chunks'     => [ PATCH => $begun, 'Transfer-Encoding' => 'chunked' ],
        'PATCH with a length' => [ PATCH => $begun, 'Content-Length'    => 3_000_000_000 ],
        'PUT with a length'   => [ PUT   => $registry->with_digest($begun, $digest), 'Content-Length'    => 3_000_000_000 ],
        'POST in chunks'      => [ POST  => "/v2/team/app/blobs/uploads/?digest=$digest", 'Transfer-Encoding' => 'chunked' ],
        'POST with a length'  => [ POST  => "/v2/team/app/blobs/uploads/?digest=$digest", 'Content-Length'    => 3_000_000_000 ],
        'GET with a body'     => [ GET   => $begun, 'Content-Length'    => 3_000_000_000 ],
        'DELETE with chunks'  => [ DELETE => $begun,                                      'Transfer-Encoding' => 'chunked' ],
    );
    for my $name (sort keys %ways) {
        my ($method, $path, @header) = @{ $ways{$name} };
        for my $who ('no password', 'a wrong password', 'continue?') {
            my %headers = (@header, $who eq 'a wrong password' ? (Authorization => basic('ann:wrong')) : (),
                $who eq 'continue?' ? (Expect => '100-continue') : ());
            my $connection = $nobody->connect;
            my $started    = time;
            $connection->send($nobody->head_of($method, $path, headers => \%headers));
            $connection->send($header[0] eq 'Content-Length' ? 'x' x 100_000 : sprintf("%x\r\n", 100_000) . 'x' x 100_000 . "\r\n")
                if $who ne 'continue?';
            is_error($connection->response($method), 401, 'UNAUTHORIZED', "$name, $who");
            cmp_ok(time - $started, '<', 5, '... at once');
            $connection->close;
        }
    }
    is_status($registry->get($begun), 204, 'nothing has come in', Range => '0-0');
    $registry->delete($begun);
    is_tidy($registry);

    for my $size (2_000_000, 20_000_000) {
        is_error($nobody->post("/v2/team/app/blobs/uploads/?digest=$digest", body => 'x' x $size), 401, 'UNAUTHORIZED',
            "a body of $size bytes makes no other error of it");
    }
};

subtest 'passwords stay secret' => sub {
    for my $pid ($registry->pid, $registry->processes) {
        unlike(command_of($pid), qr/p4ss|second-secret/, 'not in the process list: ' . (title_of($pid) || "process $pid"));
    }
    like(command_of($registry->pid), qr/docker-registry-server/, 'the program has its name there');
    unlike($registry->log . $registry->output, qr/p4ss|second-secret/, 'not in the log');
    ok(!-e $registry->dir . '/auth/htpasswd', '--user is not written to auth/htpasswd');
    my @telling = grep { slurp($registry->dir . "/$_") =~ /p4ss|second-secret/ } $registry->files;
    is_deeply(\@telling, [], 'not in any file');
    my @open = grep { (stat $registry->dir . "/$_")[2] & 0007 } grep { m{htpasswd|auth/|\.key} } $registry->files;
    is_deeply(\@open, [], 'hashes are not for everybody');
};

subtest 'a busy client' => sub {
    my $connection = $registry->connect;
    my %statuses;
    $statuses{ $registry->get('/v2/', on => $connection)->status }++ for 1 .. 1000;
    is_deeply(\%statuses, { 200 => 1000 }, 'with the right password is not taken for a guesser');
};

subtest 'many guesses at once' => sub {
    my @connections = map { $nobody->connect } 1 .. 60;
    $_->send($nobody->head_of('GET', '/v2/', headers => { Authorization => basic('ann:guess') })) for @connections;
    my %statuses;
    $statuses{ $_->response->status }++ for @connections;
    delete @statuses{ 401, 429 };
    is_deeply(\%statuses, {}, 'are refused');
    is_status($registry->get('/v2/'), 200, 'and those who know it get in');
};
$registry->stop;

subtest 'auth/htpasswd' => sub {
    my $open = Registry->start;
    is_status($open->get('/v2/'), 200, 'without it everybody may in');
    mkdir $open->dir . '/auth';
    my $file = spew($open->dir . '/auth/htpasswd', 'carl:' . crypt('third', '$6$rounds=1000$saltsalt$') . "\n");
    my ($uid, $gid) = (stat $open->dir . '/layers')[ 4, 5 ];
    chown $uid, $gid, $file, $open->dir . '/auth';
    chmod 0640, $file;
    is_status($open->get('/v2/'), 401, 'as soon as the file is there a password is needed');
    ok(wait_for(10, sub { $open->with(user => 'carl:third')->get('/v2/')->status == 200 }),
        'a moment later the right one is known, without a signal');
    is_status($open->with(user => 'carl:wrong')->get('/v2/'), 401, '... and no other');
    is_status($open->with(user => 'carl:third')->push_blob('a/b', random_bytes(100_000)), 201, 'a push goes through');
    spew($file, '');
    is_status($open->get('/v2/'), 401, 'an empty file lets nobody in');
    unlink $file;
    is_status($open->get('/v2/'), 401, 'nor does one that is gone');
    sleep 1;
    is_status($open->get('/v2/'), 401, '... also after a while');
    my $warned = () = $open->logged(qr/level=warn msg="there are no users: everybody/);
    is($warned, 1, '... so that one warning, at the start, was enough');
    kill 'HUP', $open->pid;
    ok(wait_for(10, sub { $open->get('/v2/')->status == 200 }), 'until SIGHUP says that it was meant so');
    ok(wait_for(5, sub { $open->logged(qr/level=warn msg="there are no users: everybody/) == 2 }), '... and the log warns that it is open');
    kill 'HUP', $open->pid;
    ok(wait_for(5, sub { $open->logged(qr/users read again/) >= 3 }), '... which another one finds');
    is(scalar $open->logged(qr/level=warn msg="there are no users: everybody/), 2, '... and doesn\'t warn of again');
};

finish();
