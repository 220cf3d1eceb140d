# A registry that root starts has given up root whole: user, session, terminal and tracing; and root does nothing by
# name where another user could exchange the names.
use v5.36;
use FindBin;
use Registry limit => 300;
use Registry::Process;
use Registry::Tools;
use Socket qw(AF_UNIX SOCK_SEQPACKET pack_sockaddr_un);
use Test::More;

if (!is_root()) {
    skip_or_fail('only root can give up root');
    finish();
    exit;
}
my $user = getpwnam 'www-data';
my $program = Registry->program;

# Fields of /proc/PID/stat behind the name: 0 state, 1 parent, 2 group, 3 session, 4 terminal.
sub stat_of ($pid) { return (slurp("/proc/$pid/stat") =~ s/^.*\) //sr) =~ /(\S+)/g }

sub owner ($path) { return (lstat $path)[4] }

# Runs a command as the registry's user.
sub as_user (@command) {
    return run([ 'setpriv', '--reuid', 'www-data', '--regid', 'www-data', '--clear-groups', @command ]);
}

sub open_to_all () {
    my $dir = tempdir();
    chmod 0755, $dir;
    return $dir;
}

# Runs a shell script with a terminal of its own, but not as the leader of its session.
sub on_terminal ($script) {
    my $file = tempdir() . '/script';
    spew($file, "$script\n");
    return run([ 'script', '-qec', "/bin/sh $file; true", '/dev/null' ], timeout => 40);
}

subtest 'the terminal' => sub {
    return skip_or_fail('script is not installed') if !find_program('script');
    my $tmp = open_to_all();
    on_terminal(<<"END");
'$program' --listen 127.0.0.1 --port 0 --dir '$tmp/data' </dev/null >'$tmp/out' 2>'$tmp/err' &
pid=\$!
for i in \$(seq 300); do grep -q listening '$tmp/out' && break; sleep 0.1; done
for p in /proc/[0-9]*; do
    [ "\$(readlink \$p/cwd)" = '$tmp/data' ] && echo "\$(sed 's/^.*) //' \$p/stat) | \$(tr '\\0' ' ' <\$p/cmdline)"
done >'$tmp/seen'
kill \$pid
wait \$pid
END
    my @seen = split /\n/, slurp("$tmp/seen");
    cmp_ok(scalar @seen, '>', 6, 'the server has processes') or diag(slurp("$tmp/err"));
    is_deeply([ grep { (split)[4] != 0 } @seen ], [], '... of which none has a terminal');
    my %sessions = map { (split)[3] => 1 } grep { /registry-server: (?:worker|keeper|herald)/ } @seen;
    my @long = grep { /registry-server: (?:worker|keeper|herald)/ } @seen;
    is(scalar keys %sessions, scalar @long, '... and workers, keeper and herald have sessions of their own');
};

# Linux schedules each session as a group, and a worker that is a group by itself is slower.
subtest 'without a terminal' => sub {
    my $registry = Registry->start(prefix => ['setsid']);
    my %long = map { $_ => [ (stat_of($_))[ 2, 3 ] ] } grep { title_of($_) =~ /^(?:worker|keeper|herald)/ } $registry->processes;
    cmp_ok(scalar keys %long, '>', 5, 'there are processes');
    is_deeply([ grep { $long{$_}[1] != $registry->pid } sort keys %long ], [], '... which share the session of the server');
    is_deeply([ grep { $long{$_}[0] != $_ } sort keys %long ], [], '... and get no signal that is meant for its group');
    $registry->stop;
};

subtest 'a hook' => sub {
    my $tmp = open_to_all();
    mkdir "$tmp/hooks";
    spew("$tmp/hooks/tag", <<'END');
#!/usr/bin/perl
my ($fields) = do { local (@ARGV, $/) = ('/proc/self/stat'); <> } =~ /\) (.*)/s;
my (undef, undef, $group, $session, $terminal) = split ' ', $fields;
my $pushed = open(my $tty, '+<', '/dev/tty') && ioctl($tty, 0x5412, my $key = 'x') ? 1 : 0;
print 'session ', $session == $$ ? 'own' : 'other', ' group ', $group == $$ ? 'own' : 'other', " terminal $terminal pushed $pushed\n";
END
    chmod 0755, "$tmp/hooks/tag";
    my $registry = Registry->start(args => [ '--hooks', "$tmp/hooks" ]);
    $registry->push_image('a', 'x', [random_bytes(100)]);
    ok(wait_for(10, sub { $registry->output =~ /terminal/ }), 'runs');
    like($registry->output, qr/session own group own terminal 0 pushed 0/, '... in a session of its own, without a terminal');
    $registry->stop;
};

# A program that tries to look into processes, by all that Linux has for it. It prints what it could do.
sub tracer () {
    state $file = do {
        my $name = open_to_all() . '/tracer';
        spew($name, <<'END');
#!/usr/bin/perl
use v5.36;
use POSIX ();
my %calls = (
    x86_64  => { ptrace => 101, readv => 310, pidfd => 434, getfd => 438 },
    aarch64 => { ptrace => 117, readv => 270, pidfd => 434, getfd => 438 },
);
my $call = $calls{ (POSIX::uname)[4] };
for my $pid (@ARGV) {
    my ($address) = do { local @ARGV = ("/proc/$pid/stat"); (split ' ', <> =~ s/^.*\) //r)[25] };
    my %ways = (
        (map { my $way = $_; $way => sub { open(my $in, '<', "/proc/$pid/$way") or return 0; sysread $in, my $byte, 1 } } qw(environ maps auxv)),
        (map { my $way = $_; $way => sub { defined readlink "/proc/$pid/$way" } } qw(cwd exe fd/1)),
        mem => sub { open my $in, '+<', "/proc/$pid/mem" },
    );
    if ($call) {
        $ways{attach} = sub {
            return 0 if syscall($call->{ptrace}, 16, $pid + 0, 0, 0) != 0;
            waitpid $pid, 0x40000000;
            syscall($call->{ptrace}, 17, $pid + 0, 0, 0);
            return 1;
        };
        $ways{seize} = sub { syscall($call->{ptrace}, 0x4206, $pid + 0, 0, 0) == 0 and syscall($call->{ptrace}, 17, $pid + 0, 0, 0) | 1 };
        $ways{getfd} = sub { (my $fd = syscall($call->{pidfd}, $pid + 0, 0)) >= 0 or return 0; syscall($call->{getfd}, $fd, 1, 0) >= 0 };
        $ways{readv} = sub {
            my $byte   = "\0" x 8;
            my $local  = pack 'P Q', $byte, 8;
            my $remote = pack 'Q Q', $address, 8;
            syscall($call->{readv}, $pid + 0, $local, 1, $remote, 1, 0) > 0;
        };
    }
    say join ' ', "pid $pid:", grep { $ways{$_}->() } sort keys %ways;
}
END
        chmod 0755, $name;
        $name;
    };
    return $file;
}

# What the registry's user can do to processes: "nginx: worker process: attach, mem".
sub traced_by_user (@pids) {
    my $ran = as_user(tracer(), @pids);
    my %can = map { /^pid (\d+):(.*)/ ? ($1 => $2) : () } split /\n/, $ran->{out};
    return map { length($can{$_} // ' not tried') ? command_of($_) . ':' . ($can{$_} // $ran->{err}) : () } @pids;
}

subtest 'tracing' => sub {
    plan skip_all => 'sanitizers trace the process that they check' if Registry->sanitized;
    my $tmp = open_to_all();
    mkdir "$tmp/hooks";
    spew("$tmp/hooks/tag", "#!/bin/sh\nexec " . tracer() . " \$(cat $tmp/pids)\n");
    chmod 0755, "$tmp/hooks/tag";
    my $registry = Registry->start(args => [ '--hooks', "$tmp/hooks" ], expected => qr/(?:process|nginx) died|stray nginx/);

    my $other = fork // die "fork: $!";
    if ($other == 0) { exec 'setpriv', '--reuid', 'www-data', '--regid', 'www-data', '--clear-groups', 'sleep', 100 }
    ok(wait_for(10, sub { command_of($other) eq 'sleep 100' }), 'another process of the user');
    like((traced_by_user($other))[0], qr/attach.*cwd.*environ.*exe.*getfd.*maps.*mem.*readv.*seize/, '... can be traced in each way that is tried');
    kill 'KILL', $other;
    waitpid $other, 0;

    my @all = $registry->processes;
    my @before = $registry->all_nginx_workers;
    cmp_ok(scalar @before, '>', 1, 'there are workers of nginx');
    cmp_ok(scalar(grep { title_of($_) =~ /^(?:worker|keeper|herald|guard)/ } @all), '>', 5, '... and others');
    is_deeply([ traced_by_user(@all) ], [], 'no process can be traced by others of its user');
    spew("$tmp/pids", "@all\n");
    $registry->push_image('a', 'x', [random_bytes(100)]);
    ok(wait_for(10, sub { scalar(() = $registry->output =~ /pid \d+:/g) >= @all }), 'a hook has tried it');
    is_deeply([ $registry->output =~ /(pid \d+: \w.*)/g ], [], '... in vain');

    my ($worker) = $registry->children('worker api');
    kill 'KILL', $worker;
    ok(wait_for(10, sub { my ($w) = $registry->children('worker api'); $w && $w != $worker }), 'a later worker');
    kill 'HUP', $registry->nginx_master;
    ok(wait_for(10, sub { my @now = $registry->nginx_workers; @now == @before && !grep { my $w = $_; grep { $_ == $w } @before } @now }), '... and later ones of nginx');
    is_deeply([ traced_by_user($registry->processes) ], [], '... cannot be traced');
    my ($nginx) = $registry->nginx_master;
    kill 'KILL', $nginx;
    ok(wait_for(10, sub { my ($n) = $registry->nginx_master; $n && $n != $nginx && $registry->nginx_workers == @before }), 'nor can another nginx:');
    ok(wait_for(10, sub { $registry->get('/healthz')->status == 200 }), '... it serves');
    is(scalar $registry->logged(qr/stray nginx killed/), scalar @before, '... the workers of the one before were found and killed');
    is_deeply([ traced_by_user($registry->processes) ], [], '... and it cannot be traced');

    is_deeply([ map { slurp("/proc/$_/limits") =~ /^Max core file size\s+0\s+0\s/m ? () : command_of($_) } $registry->nginx_master, $registry->nginx_workers ], [], 'nginx leaves no core file');
    is_deeply([ map { hex(slurp("/proc/$_/status") =~ /^CapEff:\t(\w+)$/m ? $1 : 0) } $registry->nginx_workers ], [ (1 << 11) x @before ], '... and has one right, to nothing');
    is_deeply([ map { slurp("/proc/$_/status") =~ /^CapPrm:\t0+$/m ? () : title_of($_) } grep { title_of($_) =~ /^(?:worker|keeper|herald|guard)/ } $registry->processes ], [], 'others have none');
    $registry->stop;
};

# As in a container.
subtest 'with few rights' => sub {
    plan skip_all => 'sanitizers trace the process that they check' if Registry->sanitized;
    my @usual    = qw(chown dac_override fowner setgid setuid kill);
    my $start = sub (@rights) { Registry->start(prefix => [ 'setpriv', '--bounding-set', join(',', '-all', map { "+$_" } @rights) ]) };
    my $registry = $start->(@usual, 'net_bind_service');
    is_deeply([ traced_by_user($registry->processes) ], [], 'the right to bind ports is a shield as well');
    $registry->stop;
    $registry = $start->(@usual);
    is($registry->get('/healthz')->status, 200, 'without both nginx runs');
    is(scalar $registry->logged(qr/level=warn .*can trace nginx/), 1, '... and a line says that it can be traced');
    $registry->stop;
};

# The rights with which a changed configuration is read go no further than that.
subtest 'a configuration that changes' => sub {
    my $tmp = open_to_all();
    my ($bin, $seen, $nginx) = (open_to_all(), open_to_all(), find_program('nginx'));
    chmod 0777, $seen;
    spew("$bin/nginx", "#!/bin/sh\n[ \"\$1\" = -t ] && { grep ^Cap /proc/self/status; grep core /proc/self/limits; } >>$seen/test\nexec $nginx \"\$\@\"\n");
    chmod 0755, "$bin/nginx";
    spew("$tmp/conf", "max-tags = 10\n");
    spew("$tmp/rules", "team/** ann push\n");
    chmod 0600, "$tmp/conf", "$tmp/rules";
    local $ENV{PATH} = "$bin:$ENV{PATH}";
    my $registry = Registry->start(args => [ '--config', "$tmp/conf" ], expected => qr/options stay as they were/);
    my $reload = sub ($pattern, $text) {
        spew("$tmp/conf", $text);
        kill 'HUP', $registry->pid;
        return wait_for(30, sub { $registry->logged($pattern) });
    };

    ok($reload->(qr/this program has taken over/, "max-tags = 11\n"), 'is checked');
    my $said = slurp("$seen/test");
    is_deeply([ $said =~ /^(Cap(?:Inh|Prm|Eff|Amb):\t0*[1-9a-f]\w*)$/mg ], [], '... by an nginx that has no right') or diag($said);
    like($said, qr/Max core file size\s+0\s+0\s/, '... and leaves no core file');
    is_deeply([ map { slurp("/proc/$_/status") =~ /^CapPrm:\t0+$/m ? () : title_of($_) } grep { title_of($_) =~ /^(?:worker|keeper|herald|guard)/ } $registry->processes ], [], 'the processes afterwards have none');
    is_deeply([ map { slurp("/proc/$_/status") =~ /^CapEff:\t0+$/m && slurp("/proc/$_/status") =~ /^CapAmb:\t0+$/m ? () : title_of($_) } $registry->pid ], [], '... and the server uses none, and passes none on');
    is_deeply([ traced_by_user($registry->processes) ], [], '... nor can they be traced') if !Registry->sanitized;
    ok($reload->(qr/options stay as they were/, "max-tags = 11\naccess = $tmp/rules\n"), 'rules that only root can read are refused, as at a start');
    like(join('', $registry->logged(qr/options stay as they were/)), qr/the user that the server runs as can't read/, '... which is said');
    is($registry->get('/healthz')->status, 200, '... and the server goes on');
    $registry->stop;
};

# "upgrade" asks as root, so that the server believes it. Another socket of root's must not be asked.
subtest 'a link in the place of the socket' => sub {
    my $tmp = open_to_all();
    my $registry = Registry->start(dir => "$tmp/data");
    $registry->stop;
    socket(my $listening, AF_UNIX, SOCK_SEQPACKET, 0) or die "socket: $!";
    bind($listening, pack_sockaddr_un("$tmp/roots")) && listen($listening, 5) or die "bind: $!";
    my $asked = sub { my $in = ''; vec($in, fileno $listening, 1) = 1; return scalar select $in, undef, undef, 0 };
    symlink "$tmp/roots", "$tmp/data/run/control.sock" or die "symlink: $!";
    my $ran = Registry->try([ 'upgrade', '--dir', "$tmp/data" ]);
    is($ran->{exit}, 1, 'is refused');
    is($asked->(), 0, '... and nothing was asked behind it');
    unlink "$tmp/data/run/control.sock";
    chmod 0666, "$tmp/roots";
    rename "$tmp/roots", "$tmp/data/run/control.sock" or die "rename: $!";
    Registry->try([ 'upgrade', '--dir', "$tmp/data" ]);
    is($asked->(), 0, 'nor is a socket of root\'s in its place');
};

subtest 'a password is read by root' => sub {
    my $tmp = open_to_all();
    pipe my $in, my $out;
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        open STDIN, '<&', $in;
        close $out;
        open STDERR, '>', "$tmp/err";
        exec $program, 'user', 'add', 'ann', '--dir', "$tmp/data";
    }
    close $in;
    ok(wait_for(10, sub { slurp("/proc/$pid/wchan") ne '0' && slurp("/proc/$pid/cmdline") =~ /add/ && (stat_of($pid))[0] eq 'S' }), 'it is waited for');
    like(slurp("/proc/$pid/status"), qr/^Uid:\t0\t0\t0\t0$/m, '... by root');
    print {$out} "secret\n";
    close $out;
    waitpid $pid, 0;
    is($?, 0, '... and the user is added') or diag(slurp("$tmp/err"));
    is(owner("$tmp/data/auth/htpasswd"), $user, '... in a file of the registry\'s user');
    is(owner("$tmp/data"), 0, '... in a directory of root\'s');
};

subtest 'the data directory is root\'s' => sub {
    my $registry = Registry->start;
    my $dir = $registry->dir;
    is(owner($dir), 0, 'it belongs to root');
    is_deeply([ grep { owner("$dir/$_") != $user } qw(layers db uploads index auth run) ], [], '... and what is in it to the user');
    isnt(as_user('mv', "$dir/db", "$dir/other")->{exit}, 0, '... who cannot exchange a name');
    isnt(as_user('ln', '-s', '/etc', "$dir/link")->{exit}, 0, '... or add one');
    ok($registry->push_image('a', 'x', [random_bytes(100)]), 'pushes work');
    $registry->stop;
};

# A directory as an earlier version left it: with an image, and all of it given to the user.
sub given_away () {
    state $left = do {
        my $registry = Registry->start;
        $registry->push_image('a', 'x', [random_bytes(100)]);
        $registry->stop;
        chown $user, (getpwnam 'www-data')[3], $registry->dir;
        $registry->dir;
    };
    my $dir = open_to_all() . '/data';
    system('cp', '-a', $left, $dir) == 0 or die 'cp';
    return $dir;
}

subtest 'a data directory that was given away' => sub {
    my $dir      = given_away();
    my $registry = Registry->start(dir => $dir);
    is(owner($dir), 0, 'is taken over');
    is(scalar $registry->logged(qr/data directory belongs to root/), 1, '... with a line that says so');
    is($registry->head('/v2/a/manifests/x')->status, 200, '... and serves what it has');
    $registry->stop;
    $registry = Registry->start(dir => $dir);
    is(scalar $registry->logged(qr/data directory belongs to root/), 0, '... once');
    $registry->stop;

    $dir = given_away();
    spew("$dir/index.html", 'of another program');
    $registry = Registry->start(dir => $dir);
    is(owner($dir), $user, 'is left as it is, if it has files of others');
    is($registry->head('/v2/a/manifests/x')->status, 200, '... and is served');
    $registry->stop;
};

# Names, modes and owners in a directory, its own included.
sub listing ($dir) {
    opendir my $open, $dir or die "$dir: $!";
    return join ' ', map { "$_:" . join '/', (lstat "$dir/$_")[ 2, 4, 5 ] } sort grep { $_ ne '..' } readdir $open;
}

# Each command, with a name of the directory exchanged for a link into a directory of root's.
subtest 'exchanged names' => sub {
    for my $name (qw(db auth run layers uploads index)) {
        for my $command ([], [ 'user', 'add', 'ann' ], ['hooks'], [ 'export', 'a', '--output', '-' ], [ 'import', '/etc' ]) {
            my $dir    = given_away();
            my $victim = open_to_all();
            spew("$victim/format", slurp("$dir/db/format")) if @$command;
            my $before = listing($victim);
            rename "$dir/$name", "$dir/was";
            if (!@$command) { rename "$dir/$_", "$dir/$_.was" for 'layers', 'uploads' } # as if nothing was stored
            as_user('ln', '-s', $victim, "$dir/$name");
            my $ran = Registry->try([ @$command, '--dir', $dir, @$command ? () : ('--listen', '127.0.0.1', '--port', '0') ], stdin => "secret\n", timeout => 5);
            is(listing($victim), $before, ($command->[0] // 'serve') . ": nothing changes where $name leads") or diag($ran->{err});
        }
    }
};

# By hand for some thousand starts: tests/soak/exchange --starts 10000.
subtest 'names that are exchanged meanwhile' => sub {
    my $ran = run([ $^X, "$FindBin::Bin/../soak/exchange", '--starts', 20, '--seed', $ENV{CRASH_SEED} // 15 ],
        env => { REGISTRY_SERVER => $program }, timeout => 300);
    is($ran->{exit}, 0, 'nothing changes where a name leads for a moment') or diag($ran->{out}, $ran->{err});
};

subtest 'a file of root\'s behind a name of the user\'s' => sub {
    my $dir    = given_away();
    my $secret = open_to_all() . '/secret';
    spew($secret, 'of root');
    chmod 0600, $secret;
    unlink "$dir/db/format";
    link $secret, "$dir/db/format";
    my $ran = Registry->try([ '--dir', $dir, '--listen', '127.0.0.1', '--port', '0' ], timeout => 5);
    like($ran->{err}, qr/Permission denied/, 'is not opened by root');
};

subtest 'a directory of root\'s under a name of ours' => sub {
    my $dir = given_away();
    rename "$dir/db", "$dir/was";
    mkdir "$dir/db";
    spew("$dir/db/format", slurp("$dir/was/format"));
    my $ran = Registry->try([ 'user', 'add', 'ann', '--dir', $dir ], stdin => "secret\n");
    ok(!-e "$dir/auth/htpasswd" || owner("$dir/auth/htpasswd") == $user, 'makes no command run as root') or diag($ran->{err});
};
finish();
