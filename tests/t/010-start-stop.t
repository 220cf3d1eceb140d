# One command in an empty directory is a registry; a signal ends all of it.
use v5.36;
use Registry limit => 150;
use Registry::Checks;
use Registry::Process;
use Registry::Tools;
use Test::More;
use Time::HiRes qw(time);

subtest 'what it says of itself' => sub {
    my $version = Registry->try(['--version']);
    is($version->{exit}, 0, '--version ends well');
    like($version->{out}, qr/^docker-registry-server\b.*\d+\.\d+/, '... and tells the version');
    my $help = Registry->try(['--help']);
    is($help->{exit}, 0, '--help ends well');
    like($help->{out}, qr/\AUsage: docker-registry-server \[options\]\n\n/, '... begins as the original does');
    like($help->{out}, qr/^ +\Q$_\E\b/m, "... names $_")
        for '--port, -p', '--dir,  -d', '--user, -u', '--tls-cert', '--run-as', '--config';
    unlike($help->{out}, qr/.{121}/, '... in lines that fit a screen');
    is($help->{err}, '', '... and complains of nothing');
};

subtest 'the first answers' => sub {
    my $registry = Registry->start;
    is($registry->output =~ s/^Server is listening on port \d+\n//r, '', 'stdout has the ready line alone');

    is_status(my $health = $registry->get('/healthz'), 200, 'GET /healthz');
    like($health->content, qr/\Aok\n?\z/, '... says ok');

    is_status(my $base = $registry->get('/v2/'), 200, 'GET /v2/',
        'Docker-Distribution-Api-Version' => 'registry/2.0', 'Content-Type' => qr{^application/json});
    is_deeply($base->json, {}, '... is an empty object');
    is_status($registry->head('/v2/'), 200, 'HEAD /v2/', 'Docker-Distribution-Api-Version' => 'registry/2.0');
    is_status($registry->get('/'), 200, 'GET /');

    for my $path ('/_ping', '/v1/_ping') {
        is_status(my $ping = $registry->get($path), 200, "GET $path", 'Content-Type' => qr{^application/json},
            'X-Docker-Registry-Version' => qr/./, 'X-Docker-Registry-Standalone' => qr/^true$/i);
        is($ping->content, 'true', '... says true');
    }

    my @warnings = $registry->logged(qr/level=warn/);
    is(scalar @warnings, 1, 'one warning') or diag(@warnings);
    like($warnings[0] // '', qr/user|password/i, '... that nobody needs a password');

    my $port = $registry->port;
    $registry->stop;
    ok(!$registry->connect, 'SIGTERM: the port is free');
    is_deeply([ $registry->processes ], [], '... and all processes are gone');
    ok(!-e $registry->dir . '/run/master.pid', '... with the pid file');
};

subtest 'with users there is no warning' => sub {
    my $registry = Registry->start(args => [ '-u', 'ann:secret' ], user => 'ann:secret');
    is_deeply([ $registry->logged(qr/level=warn/) ], [], 'no warning');
    is_status($registry->get('/v2/'), 200, 'the registry answers');
    $registry->stop('INT');
    ok(!$registry->connect, 'SIGINT: the port is free');
};

subtest 'processes have names' => sub {
    my $registry = Registry->start(args => [ '--workers', '3', '--bulk-workers=2' ]);
    is(scalar $registry->children('worker api'),  3, 'api workers, as many as wanted');
    is(scalar $registry->children('worker bulk'), 2, 'bulk workers, as many as wanted');
    is(scalar $registry->children('keeper'),      1, 'a keeper');
    ok(wait_for(5, sub { $registry->nginx_master == 1 }), 'an nginx');
    is(slurp($registry->dir . '/run/master.pid') + 0, $registry->pid, 'run/master.pid names the master');
};

subtest 'ports' => sub {
    my $port     = free_port();
    my $registry = Registry->start(listen => [ '--listen', '127.0.0.1', '-p', '0', "-p$port" ], listeners => 2);
    my @ports    = $registry->ports;
    ok((grep { $_ == $port } @ports), '-pN: the port that was asked for');
    is_status($registry->with(port => $_)->get('/v2/'), 200, "port $_ answers") for @ports;
    $registry->stop;

    $port = free_port();
    $registry = Registry->start(listen => [ '--listen', '127.0.0.1', "--port=$port" ], env => { PORT => 1 });
    is_status($registry->get('/v2/'), 200, '--port=N beats $PORT');
    is_deeply([ $registry->ports ], [$port], '... and is the only one');
    $registry->stop;

    $port = free_port();
    $registry = Registry->start(listen => [ '--listen', '127.0.0.1' ], env => { PORT => $port });
    is_deeply([ $registry->ports ], [$port], '$PORT counts when there is no --port');
    is_status($registry->get('/v2/'), 200, '... and answers');
};

subtest 'addresses' => sub {
    plan skip_all => 'no IPv6 here' if !IO::Socket::IP->new(LocalHost => '::1', Listen => 1);
    my $port     = free_port();
    my $registry = Registry->start(listen => [ '--listen', '127.0.0.1', '--listen', '::1', '--port', $port ]);
    is_status($registry->get('/v2/'), 200, 'IPv4');
    is_status($registry->with(host => '::1')->get('/v2/', headers => { Host => "[::1]:$port" }), 200, 'IPv6');
};

subtest 'a configuration file' => sub {
    my $tmp  = tempdir();
    my $port = free_port();
    spew("$tmp/registry.conf", <<~"END");
        # ports and people
        listen = 127.0.0.1
        port=$port

        user=ann:sec ret#1
          workers = 2
        log-level=debug
        END
    my $registry = Registry->start(
        listen => [], args => [ '--config', "$tmp/registry.conf", '--workers', '3', '--user', 'bob:second' ]);
    is_deeply([ $registry->ports ], [$port], 'its port');
    is(scalar $registry->children('worker api'), 3, 'the command line wins');
    is_status($registry->get('/v2/'), 401, 'its user counts');
    is_status($registry->with(user => 'ann:sec ret#1')->get('/v2/'), 200, '... with blanks and # in the password');
    is_status($registry->with(user => 'bob:second')->get('/v2/'), 200, 'repeatable ones add up');
    ok(scalar $registry->logged(qr/level=debug/), 'its log level');
};

subtest 'the current directory, below a closed one' => sub {
    my $closed = tempdir() . '/closed';
    mkdir $_, 0755 for $closed, "$closed/here";
    chmod 0700, $closed;
    run([ 'cp', Registry->program, "$closed/program" ]);
    my $registry = Registry->start(dir => undef, cwd => "$closed/here", program => "$closed/program");
    is_status($registry->get('/v2/'), 200, 'it runs');
    ok(-d "$closed/here/$_", "$_/ is there") for qw(db layers uploads run);
    my $bytes = random_bytes(300_000);
    is_status($registry->push_blob('a/b', $bytes), 201, 'a push');
    is_blob($registry, 'a/b', $bytes, 'a pull');
    is_status($registry->get('/healthz'), 200, 'the database can be used');
};

# Files of other users. The body of a request may go while they are looked at.
sub foreign_files ($registry, $uid) {
    return grep { my $owner = (lstat $registry->dir . "/$_")[4]; defined $owner && $owner != $uid } $registry->files;
}

subtest 'an ordinary user, started by root' => sub {
    plan skip_all => 'needs root'    if !is_root();
    plan skip_all => 'needs setpriv' if !find_program('setpriv');
    my $tmp = tempdir();
    run([ 'cp', Registry->program, "$tmp/program" ]);
    chmod 0755, "$tmp/program";
    mkdir "$tmp/data";
    chown scalar(getpwnam 'nobody'), -1, "$tmp/data";
    my $registry = Registry->start(
        dir    => "$tmp/data", program => "$tmp/program",
        prefix => [ 'setpriv', '--reuid=nobody', '--regid=nogroup', '--clear-groups' ],
    );
    is_status($registry->push_blob('a/b', random_bytes(300_000)), 201, 'a push');
    my @foreign = foreign_files($registry, scalar getpwnam 'nobody');
    is_deeply(\@foreign, [], 'all files are its own');
};

subtest '--run-as' => sub {
    plan skip_all => 'needs root' if !is_root();
    my $registry = Registry->start(args => [ '--run-as', 'nobody' ]);
    is_status($registry->push_blob('a/b', random_bytes(300_000)), 201, 'a push');
    my $uid = getpwnam 'nobody';
    for my $pid ($registry->children('worker'), $registry->all_nginx_workers) {
        is((stat "/proc/$pid")[4], $uid, command_of($pid) . ' is nobody');
    }
    my @foreign = grep { !m{^run/} } foreign_files($registry, $uid);
    is_deeply(\@foreign, [], 'what it stores is nobody\'s');
};

subtest 'a stop in the middle of an upload' => sub {
    my $registry   = Registry->start;
    my $place      = $registry->start_upload('a/b');
    my $connection = $registry->connect;
    $connection->send($registry->head_of('PATCH', $place, headers => { 'Transfer-Encoding' => 'chunked' }));
    $connection->send_chunk(random_bytes(100_000));
    ok(!$connection->answers_within(0.3), 'the upload goes on');
    $registry->stop;
    cmp_ok($registry->seconds_to_stop, '<=', 10, 'the registry stops within 10 s');
    isnt($connection->response->status, 202, 'and the upload was not acknowledged');
};

subtest 'what was pushed is there after a restart' => sub {
    my $registry = Registry->start;
    my $layer    = random_bytes(200_000);
    my $response = $registry->push_image('a/b', 'v1', [$layer]);
    is_status($response, 201, 'pushed');
    $registry->stop;
    my $again = Registry->start(dir => $registry->dir);
    is_blob($again, 'a/b', $layer, 'the layer');
    is_status($again->get('/v2/a/b/manifests/v1'), 200, 'the tag',
        'Docker-Content-Digest' => $response->header('Docker-Content-Digest'));
};

finish();
