# "docker-registry-server check" names each fault that a start would meet, and changes nothing.
use v5.36;
use Registry limit => 100;
use Registry::Checks;
use Registry::Process;
use Registry::Tools;
use Digest::SHA ();
use IO::Socket::INET;
use JSON::PP ();
use Test::More;

BEGIN { need('openssl') }
my @HERE = ('--listen', '127.0.0.1');
my $tmp  = tempdir();
chmod 0755, $tmp;

sub check (@args) { return Registry->try([ 'check', @HERE, @args ]) }

# One fault, about this, whose line matches.
sub finds ($about, $pattern, $args, $name) {
    my $ran   = check(@$args);
    my @lines = split /\n/, $ran->{err};
    subtest $name => sub {
        is($ran->{exit}, 1, 'exit code 1');
        is(scalar @lines, 2, 'one line, and their number') or diag($ran->{err});
        like($lines[0], qr/^docker-registry-server: \Q$about\E: .*$pattern/, '... that tells it');
        is($lines[1], 'docker-registry-server: 1 fault was found', '... and that is all');
        is($ran->{out}, '', 'nothing on stdout');
    };
    return;
}

sub is_good ($name, @args) {
    my $ran = check(@args);
    is($ran->{exit}, 0, $name) or diag($ran->{err});
    is($ran->{out}, "no fault was found\n", '... and says so');
    return $ran;
}

# Names, modes, owners, sizes, times and bytes of all that is in a directory.
sub state_of ($dir) {
    my @found;
    for my $path (sort split /\n/, run([ 'find', $dir ])->{out}) {
        my @st = lstat $path;
        push @found, join ' ', $path, @st[ 2, 4, 5, 7, 9, 10 ], -f $path && !-l $path ? Digest::SHA->new(256)->addfile($path)->hexdigest : '';
    }
    return \@found;
}

subtest 'before the first start' => sub {
    is_good('a directory that a start would make', '--port', 0, '--dir', "$tmp/new/data");
    ok(!-e "$tmp/new", '... is not made');
    spew("$tmp/file", 'x');
    finds('directory', qr/\Q$tmp\E\/file is no directory/, [ '--port', 0, '--dir', "$tmp/file/data" ], 'a directory below a file');
    mkdir "$tmp/other";
    spew("$tmp/other/mine", 'x');
    my $before = state_of("$tmp/other");
    finds('directory', qr/holds mine/, [ '--port', 0, '--dir', "$tmp/other" ], 'a directory of another program');
    is_deeply(state_of("$tmp/other"), $before, '... which stays as it is');
};

my $port     = free_port();
my $registry = Registry->start(listen => [ @HERE, '--port', $port ]);
my @ours     = ('--port', $port, '--dir', $registry->dir);

subtest 'beside a running server' => sub {
    is_status($registry->push_image('a/b', 'v1', [ random_bytes(100) ]), 201, 'an image');
    is_good('its own port and directory are good', @ours);
    finds('ports', qr/port $port is in use/, [ '--port', $port, '--dir', "$tmp/new" ], 'for another directory the port is in use');
    is_status($registry->get('/v2/a/b/manifests/v1'), 200, 'the server goes on');
    is(scalar(grep { kill 0, $_ } $registry->pid), 1, '... with the same process');
};

my $other = Registry->start;
my $still = $other->dir;
$other->stop;
my @there = ('--port', 0, '--dir', $still);
my $owner = (stat "$still/auth")[4];

# A file of the administrator's, for the time of a check.
sub with_file ($name, $text, $code, $mode = 0644) {
    my $made = "$still/$name" =~ s{/[^/]*$}{}r;
    mkdir $made;
    spew("$still/$name", $text);
    chmod $mode, "$still/$name";
    chown $owner, -1, "$still/$name" if $name =~ /^auth/;
    $code->();
    unlink "$still/$name";
    return;
}

subtest 'files of the administrator' => sub {
    my $before = state_of($still);
    is_good('a directory without a server', @there);
    is_deeply(state_of($still), $before, '... stays as it is, to the time of each file');
    with_file('auth/access', "** ann all\nnonsense\n", sub { finds('access rules', qr{auth/access:2: }, \@there, 'a wrong access rule') });
    with_file('auth/groups', "nonsense\n", sub { finds('access rules', qr{auth/groups:1: }, \@there, 'a wrong group') });
    with_file('auth/retain', "** keep nothing\n", sub { finds('rules of retention', qr{auth/retain:1: }, \@there, 'a wrong rule of retention') });
    finds('access rules', qr{--access \Q$tmp\E/none: there is no such file}, [ @there, '--access', "$tmp/none" ], 'rules that are not there');
    finds('rules of retention', qr{--retain \Q$tmp\E/none: there is no such file}, [ @there, '--retain', "$tmp/none" ], '... of both kinds');
    with_file('auth/htpasswd', "ann:{SSHA}aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n# a comment\n\nbob\n", sub {
        finds('users', qr{auth/htpasswd: 1 of its lines is not NAME:HASH}, \@there, 'a line that is no user') });
    with_file('auth/htpasswd', "ann:\$nope\$x\n", sub { finds('users', qr{auth/htpasswd: the hash of ann }, \@there, 'a hash that nobody knows') });
    my $all = check(@there, '--access', "$tmp/none", '--retain', "$tmp/none", '--tls-cert', "$tmp/none", '--tls-key', "$tmp/none");
    is($all->{exit}, 1, 'several faults');
    is_deeply([ map { /^docker-registry-server: ([^:]*)/ } split /\n/, $all->{err} ], [ 'certificate', 'access rules', 'rules of retention', '3 faults were found' ], '... are all told');
};

subtest 'hooks' => sub {
    with_file('hooks/tag', "#!/bin/sh\n", sub { is_good('a hook', @there) }, 0755);
    with_file('hooks/tag', "#!/bin/sh\n", sub { finds('hooks', qr{\./hooks/tag is not executable .*chmod}, \@there, 'one that is not executable') });
    with_file('hooks/tag', "echo\n", sub { finds('hooks', qr{#!/bin/sh}, \@there, 'one without an interpreter') }, 0755);
    with_file('hooks/tag', "#!/bin/sh\n", sub { finds('hooks', qr{can be changed by other users}, \@there, 'one that everybody may change') }, 0777);
    with_file('hooks/pre-tag', "#!/nowhere\n", sub { finds('hooks', qr{/nowhere}, \@there, 'one with an interpreter that is missing') }, 0755);
    with_file('hooks/tag.sample', "echo\n", sub { is_good('samples are none', @there) });
    finds('hooks', qr{--hooks \Q$tmp\E/none }, [ @there, '--hooks', "$tmp/none" ], 'a directory of hooks that is missing');
    SKIP: {
        skip 'only root gives files away', 1 if !is_root();
        with_file('hooks/tag', "#!/bin/sh\n", sub {
            chown 12345, 12345, "$still/hooks/tag";
            finds('hooks', qr{belongs to a user without a name}, \@there, 'one of another user') }, 0755);
    }
};

subtest 'certificates' => sub {
    my ($cert, $key) = make_certificate($tmp, 'site', 1);
    my ($other_cert, $other_key) = make_certificate($tmp, 'other', 2);
    my $soon = check(@there, '--tls-cert', $cert, '--tls-key', $key);
    is($soon->{exit}, 0, 'a certificate');
    finds('certificate', qr/--tls-cert .*--tls-key/, [ @there, '--tls-cert', $cert, '--tls-key', $other_key ], 'a key of another one');
    finds('certificate', qr/\Q$tmp\E\/none/, [ @there, '--tls-cert', "$tmp/none", '--tls-key', $key ], 'none');
    my @made = ('openssl', 'req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=x', '-keyout', "$tmp/e.key", '-out', "$tmp/e.crt");
    is(run([ @made, '-days', 3 ])->{exit}, 0, 'one of three days');
    my $ran = check(@there, '--tls-cert', "$tmp/e.crt", '--tls-key', "$tmp/e.key");
    is($ran->{exit}, 0, '... is no fault');
    like($ran->{err}, qr/^docker-registry-server: warning: certificate: --tls-cert \S+ expires at 20\S+: renew it\n\z/, '... but a warning');
    chmod 0600, "$tmp/e.key";
    is(check(@there, '--tls-cert', "$tmp/e.crt", '--tls-key', "$tmp/e.key")->{exit}, 0, '... also with a key for its owner alone');
};

subtest 'access log' => sub {
    mkdir "$tmp/log";
    chown $owner, -1, "$tmp/log";
    is_good('a file that is not there yet', @there, '--access-log', "$tmp/log/access.log");
    ok(!-e "$tmp/log/access.log", '... is not made');
    spew("$tmp/log/there", 'x');
    chown $owner, -1, "$tmp/log/there";
    is_good('one that is there', @there, '--access-log', "$tmp/log/there");
    is(slurp("$tmp/log/there"), 'x', '... stays as it is');
    is_good('syslog', @there, '--access-log', 'syslog');
    finds('access log', qr{can't make --access-log \Q$tmp\E/nowhere/log: make the directory \Q$tmp\E/nowhere,}, [ @there, '--access-log', "$tmp/nowhere/log" ], 'no directory');
    finds('access log', qr{--access-log \Q$tmp\E/log is a directory}, [ @there, '--access-log', "$tmp/log" ], 'a directory instead of a file');
    SKIP: {
        skip 'root is not kept out', 2 if !is_root();
        mkdir "$tmp/closed", 0755;
        finds('access log', qr{www-data can't make --access-log \Q$tmp\E/closed/log: .*Permission denied}, [ @there, '--access-log', "$tmp/closed/log" ], 'a directory of another user');
        spew("$tmp/log/roots", '');
        finds('access log', qr{www-data can't write --access-log \Q$tmp\E/log/roots: .*Permission denied}, [ @there, '--access-log', "$tmp/log/roots" ], 'a file of another user');
    }
    my $ran = Registry->try([ 'check', '--dir', $still, '--fastcgi', "$tmp/sockets", '--access-log', "$tmp/nowhere/log" ]);
    is($ran->{exit}, 0, 'with an nginx of its own');
    like($ran->{err}, qr/^docker-registry-server: warning: access log: --access-log has no effect with --fastcgi: .*nginx\(7\)\n\z/, '... there is a warning');
};

subtest 'the rest' => sub {
    my $taken = IO::Socket::INET->new(LocalAddr => '127.0.0.1', LocalPort => 0, Listen => 5);
    my $in_use = $taken->sockport;
    finds('ports', qr/port $in_use is in use/, [ @there, '--port', $in_use ], 'a port in use');
    my $free = free_port();
    is_good('a free port', '--dir', $still, '--port', $free);
    ok(!IO::Socket::INET->new(PeerHost => '127.0.0.1', PeerPort => $free), '... on which nothing listens afterwards');
    finds('directory', qr/free/, [ @there, '--min-free', '900000000G' ], 'a disk without room');
    mkdir "$tmp/empty";
    mkdir "$tmp/bin";
    spew("$tmp/bin/nginx", "#!/bin/sh\necho 'nginx: [emerg] unknown directive \"thread_pool\" in x:1' >&2\nexit 1\n");
    chmod 0755, "$tmp/bin", "$tmp/bin/nginx";
    {
        local $ENV{PATH} = "$tmp/bin:$ENV{PATH}";
        finds('nginx', qr/nginx would not start: unknown directive "thread_pool" in x:1/, \@there, 'an nginx that does not know a directive');
    }
    spew("$tmp/file", 'x');
    like(Registry->try([ 'check', '--dir', $still, '--fastcgi', "$tmp/file/x" ])->{err}, qr/^docker-registry-server: sockets: .*\Q$tmp\E\/file is no directory/, 'a directory for sockets below a file');
    my $fastcgi = Registry->try([ 'check', '--dir', $still, '--fastcgi', "$tmp/sockets" ]);
    is($fastcgi->{exit}, 0, 'a directory for sockets') or diag($fastcgi->{err});
    ok(!-e "$tmp/sockets", '... is not made');
    spew("$still/db/format", "docker-registry-server store, format 99\n");
    finds('directory', qr/newer version/, \@there, 'a newer format');
    is_deeply([ glob '/tmp/docker-registry-server-check.*' ], [], 'no directory is left');
};

subtest 'options' => sub {
    for my $wrong ([ '--nonsense' ], [ '--port', 'http' ], [ '--tls-cert', 'x' ], ['a word'], [ '--quota', 'a' ]) {
        my $ran = check('--dir', $still, @$wrong);
        is($ran->{exit}, 2, "@$wrong: exit code 2");
        is(scalar(split /\n/, $ran->{err}), 1, '... and one line') or diag($ran->{err});
    }
    spew("$tmp/a.conf", "dir=$still\nnonsense\n");
    my $ran = check('--config', "$tmp/a.conf");
    is($ran->{exit}, 2, 'a wrong configuration: 2');
    like($ran->{err}, qr/a\.conf, line 2: /, '... and its line');
    my $json = check('--dir', $registry->dir, '--port', $port, '--retain', "$tmp/none", '--json');
    is($json->{exit}, 1, '--json');
    my $said = JSON::PP->new->decode($json->{out});
    is_deeply([ map { $_->{what} } @{ $said->{faults} } ], ['rules of retention'], '... names the faults');
    is_deeply($said->{warnings}, [], '... and warnings');
};

SKIP: {
    skip 'only root becomes another user', 1 if !is_root() || !find_program('setpriv');
    my $mine = tempdir();
    chmod 0755, $mine;
    run([ 'cp', Registry->program, "$mine/program" ]);
    chmod 0755, "$mine/program";
    my @user = (prefix => [ 'setpriv', '--reuid=www-data', '--regid=www-data', '--clear-groups' ], program => "$mine/program");
    my $ran = Registry->try([ 'check', @HERE, '--port', 0, '--dir', "$mine/data" ], @user);
    is($ran->{exit}, 1, 'as a user: a directory that cannot be made');
    like($ran->{err}, qr/^docker-registry-server: directory: \Q$mine\E\/data can't be made in \Q$mine\E: .*Permission denied/, '... is a fault');
    $ran = Registry->try([ 'check', @HERE, '--port', $port, '--dir', $registry->dir ], @user);
    is($ran->{exit}, 0, '... and beside a server of this user there is none') or diag($ran->{err});
    $ran = Registry->try([ 'check', @HERE, '--port', 0, '--dir', $registry->dir, '--run-as', 'nobody' ]);
    like($ran->{err}, qr/^docker-registry-server: directory: .*belongs to www-data/m, 'as root: a directory of another user');
}

# What the unit calls.
my $unit = slurp("$ENV{srcdir}/contrib/systemd/docker-registry-server.service");
like($unit, qr/^ExecStartPre=-\S+ check --config \S+\n(?:.*\n)*ExecStart=\S+ --config \S+$/m, 'the unit checks before a start');
like($unit, qr/^ExecReload=\S+ check --config \S+\n(?:#.*\n)*ExecReload=.*kill -HUP/m, '... and before a reload');
finish();
