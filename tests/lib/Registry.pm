package Registry;
use v5.36;

# One running registry: the real program with the real nginx, in a fresh directory on a free port.
#
#   use Registry;
#   my $registry = Registry->start(args => ['--user', 'ann:secret']);
#   is($registry->get('/v2/')->status, 401, 'a password is needed');
#   finish();
#
# finish() stops what still runs and fails when a server didn't stop as it should, when something
# of it is left, or when its log tells of a crash, an alert, or an error that the test didn't expect.
# REGISTRY_SERVER names the program, REGISTRY_TEST_KEEP=1 keeps the directories.

use parent 'Registry::Client';
use Cwd ();
use IO::Socket::INET ();
use POSIX ();
use Registry::Process;
use Registry::Tools;
use Test::More ();
use Time::HiRes qw(time);

# What sanitizers say.
my $REPORT = qr/Sanitizer|runtime error: /;

my @servers;
my @reports;    # of sanitizers, from programs that ran to their end
my $main = $$;
my $limit;      # of the whole test, in seconds

# Options: limit => seconds that the whole test may take (60); with sanitizers three times that.
sub import ($class, %o) {
    my $caller = caller;
    $limit = $o{limit} // 60;
    no strict 'refs';
    *{"${caller}::finish"} = \&finish;
    delete @ENV{qw(http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY)};
    $SIG{$_} = 'DEFAULT' for qw(INT QUIT); # a shell that starts a run in the background has them ignored
    $SIG{ALRM} = sub { die "the test took longer than $limit s\n" };
    alarm $limit;
    return;
}

# Once, by the test itself.
sub _extend_limit () {
    state $extended = 0;
    alarm(alarm(0) + 2 * $limit) if $$ == $main && !$extended++;
    return;
}

sub program ($class) {
    state $program = do {
        my @places = $ENV{REGISTRY_SERVER} // ('docker-registry-server', 'build/docker-registry-server');
        my ($found) = grep { -x } @places;
        Test::More::BAIL_OUT("no program at @places: set REGISTRY_SERVER") if !$found;
        Cwd::abs_path($found);
    };
    return $program;
}

# Starts the program and waits for its ready lines. Options:
#   args      more arguments
#   listen    the addresses and ports, as arguments; else --listen 127.0.0.1 --port 0
#   listeners how many ready lines there will be (1)
#   fastcgi   a directory for sockets: no port, and no nginx of its own
#   dir       the data directory; else a fresh one; undef: not given as an argument
#   cwd, env  of the process
#   prefix    a command that starts the program (and becomes it by exec)
#   program   another copy of it
#   expected  what its log may hold though it would fail the test (a pattern)
#   user      as Registry::Client
sub start ($class, %o) {
    _extend_limit() if $class->sanitized;
    my $tmp  = tempdir();
    my $dir  = exists $o{dir} ? $o{dir} : "$tmp/data";
    my $self = bless {
        host => '127.0.0.1', timeout => 30, user => $o{user},
        tmp  => $tmp, dir => $dir // Cwd::abs_path($o{cwd}), expected => $o{expected}, problems => [],
    }, $class;
    my @command = (
        @{ $o{prefix} // [] }, $o{program} // $class->program,
        @{ $o{listen} // ($o{fastcgi} ? [ '--fastcgi', $o{fastcgi} ] : [ '--listen', '127.0.0.1', '--port', '0' ]) },
        defined $dir ? ('--dir', $dir) : (), @{ $o{args} // [] },
    );
    $self->{pid} = fork // die "fork: $!";
    _become($tmp, \@command, \%o) if $self->{pid} == 0;
    push @servers, $self;

    my $listeners = $o{listeners} // 1;
    my $ready     = wait_for(30, sub { scalar(() = $self->output =~ /^Server is listening on .*\n/mg) >= $listeners || !$self->running });
    if (!$ready || !$self->running) {
        my $state = $self->running ? "isn't ready after 30 s" : "ended ($self->{status})";
        die "@command\n$state\n" . $self->log . $self->output;
    }
    $self->{port} = ($self->ports)[0];
    return $self;
}

sub _become ($tmp, $command, $o) {
    open STDIN,  '<', '/dev/null'   or POSIX::_exit(126);
    open STDOUT, '>>', "$tmp/stdout" or POSIX::_exit(126);
    open STDERR, '>>', "$tmp/stderr" or POSIX::_exit(126);
    chdir($o->{cwd} // $tmp) or POSIX::_exit(126);
    delete $ENV{PORT};
    $ENV{$_} = $o->{env}{$_} for keys %{ $o->{env} // {} };
    { no warnings 'exec'; exec { $command->[0] } @$command }
    print STDERR "cannot run $command->[0]: $!\n";
    POSIX::_exit(127);
}

# Runs the program to its end, for when it isn't meant to stay: as Registry::Tools::run.
sub try ($class, $args, %o) {
    local $ENV{PORT};
    delete $ENV{PORT};
    my $ran = run([ @{ $o{prefix} // [] }, $o{program} // $class->program, @$args ],
        timeout => 20, cwd => tempdir(), %o);
    push @reports, grep { $_ =~ $REPORT } split /\n/, $ran->{err};
    return $ran;
}

# Built by configure --with-sanitizers? Then it needs several times the memory.
sub sanitized ($class) {
    state $sanitized = index(slurp($class->program), '__asan_init') >= 0;
    return $sanitized;
}

sub pid ($self)    { return $self->{pid} }
sub dir ($self)    { return $self->{dir} }
sub output ($self) { return slurp("$self->{tmp}/stdout") }
sub log ($self)    { return slurp("$self->{tmp}/stderr") }
sub ports ($self)  { return $self->output =~ /^Server is listening on port (\d+)$/mg }

# The log's lines that a pattern matches.
sub logged ($self, $pattern) { return grep { $_ =~ $pattern } split /\n/, $self->log }

sub running ($self) {
    return 0 if defined $self->{status};
    return 1 if waitpid($self->{pid}, POSIX::WNOHANG()) == 0;
    $self->{status} = $? & 127 ? 'signal ' . ($? & 127) : 'exit ' . ($? >> 8);
    return 0;
}

# ---- its processes ----

sub processes ($self) { return processes_below($self->{dir}) }

# Pids by what ps shows: 'worker api', 'worker bulk', 'keeper'. A child that was forked just now still shows what its
# parent does: the master's command line, or the title of the worker or keeper whom it is to do something for.
sub children ($self, $title) {
    my $master = command_of($self->{pid});
    wait_for(5, sub { !grep { $_ != $self->{pid} && command_of($_) eq $master } $self->processes }) if $master ne '';
    return grep { title_of($_) =~ /^\Q$title\E\b/ && title_of($_) ne title_of(parent_of($_)) } $self->processes;
}

sub nginx_master ($self)  { return grep { command_of($_) =~ /^nginx: master/ } $self->processes }
sub nginx_workers ($self) { return grep { command_of($_) =~ /^nginx: worker/ } $self->processes }

# All that there are to be. Right after a start, some haven't got their title yet.
sub all_nginx_workers ($self) {
    my ($n) = slurp("$self->{dir}/run/nginx.conf") =~ /^worker_processes (\d+);/m;
    my @workers;
    wait_for(10, sub { (@workers = $self->nginx_workers) == $n });
    return @workers;
}

# Runs some code while nginx can't reach the workers of pool api: their socket has another name, and
# the connections that nginx keeps have ended with the workers.
sub without_api ($self, $code) {
    my @former = $self->children('worker api');
    rename "$self->{dir}/run/api.sock", "$self->{dir}/run/gone";
    kill 'TERM', @former;
    wait_for(5, sub { !grep { kill 0, $_ } @former });
    $code->();
    rename "$self->{dir}/run/gone", "$self->{dir}/run/api.sock";
    return;
}

# ---- its files ----

# Regular files below a part of its directory, relative to it.
sub files ($self, $below = '') {
    my @found;
    my @todo = ($below);
    while (defined(my $at = shift @todo)) {
        opendir my $open, "$self->{dir}/$at" or next;
        for my $name (sort grep { !/^\.\.?$/ } readdir $open) {
            my $path = length $at ? "$at/$name" : $name;
            if    (-l "$self->{dir}/$path") { push @found, $path }
            elsif (-d _)                    { push @todo,  $path }
            elsif (-f _)                    { push @found, $path }
        }
    }
    return @found;
}

# Files below layers/ that hold a digest's bytes.
sub blob_files ($self, $digest) {
    my ($hex) = $digest =~ /:(.*)/;
    return grep { index($_, $hex) >= 0 } $self->files('layers');
}

# ---- its end ----

# Stops it; problems come out at finish().
sub stop ($self, $signal = 'TERM') {
    return if !$self->running;
    my $started = time;
    kill $signal, $self->{pid};
    if (!wait_for(20, sub { !$self->running })) {
        $self->_problem("still running 20 s after SIG$signal");
        return $self->_destroy;
    }
    $self->{seconds} = time - $started;
    $self->_problem("ended with $self->{status} after SIG$signal") if $self->{status} ne 'exit 0';
    $self->_problem(sprintf 'took %.1f s to stop', $self->{seconds}) if $self->{seconds} > 10;
    $self->_nothing_left(1);
    $self->_ports_free;
    return;
}

# The program itself is killed, as the test wants it; all the rest has to go by itself.
sub crash ($self) {
    kill 'KILL', $self->{pid};
    wait_for(5, sub { !$self->running });
    return;
}

sub seconds_to_stop ($self) { return $self->{seconds} }

sub _problem ($self, $text) { push @{ $self->{problems} }, $text; return }

sub _nothing_left ($self, $limit) {
    return if wait_for($limit, sub { !$self->processes });
    $self->_problem("left process $_: " . command_of($_)) for $self->processes;
    return $self->_destroy;
}

sub _ports_free ($self) {
    for my $port ($self->ports) {
        my $open = IO::Socket::INET->new(PeerHost => '127.0.0.1', PeerPort => $port, Timeout => 1);
        $self->_problem("port $port is still open") if $open;
    }
    return;
}

sub _destroy ($self) {
    my @pids = ($self->running ? $self->{pid} : (), $self->processes);
    kill 'KILL', @pids;
    wait_for(5, sub { !$self->running && !$self->processes });
    return;
}

# What a log must not hold: our errors, processes that died, sanitizers, and of nginx what is worse than
# an error (those tell of clients that did wrong) or tells of a worker that didn't answer.
my $BAD = qr/
    \blevel=error\ (?!msg="nginx") | \bseverity=(?:alert|crit|emerg)\b | \[(?:alert|crit|emerg)\]
  | \bmsg="(?:process\ died|recovering\ ) | core\ dumped | Assertion
  | stack\ smashing | double\ free | corrupted\ size
  | upstream\ (?:prematurely\ closed|sent) | failed\ \([^)]*\)\ while\ (?:connecting|reading|sending)\ [^,]*upstream
/x;

sub _log_problems ($self) {
    my @bad = grep { !defined $self->{expected} || $_ !~ $self->{expected} } $self->logged($BAD);
    unshift @bad, $self->logged($REPORT);    # no test expects these
    splice @bad, 10 if @bad > 10;
    $self->_problem("log: $_") for @bad;
    return;
}

# For a program that is no test: what was wrong with it, after stop().
sub problems ($self) {
    $self->_log_problems;
    return (@reports, @{ $self->{problems} });
}

# The last check of each test.
sub finish () {
    for my $server (@servers) {
        $server->stop;
        $server->_nothing_left(5) if $server->{status} eq 'signal 9';
        $server->_log_problems;
    }
    my @problems = (@reports, map { @{ $_->{problems} } } @servers);
    Test::More::ok(!@problems, 'stopped cleanly, nothing is left, and the log is clean')
        or Test::More::diag(join "\n", @problems);
    _show_logs() if !Test::More->builder->is_passing;
    Test::More::done_testing();
    alarm 0;
    return;
}

# The ends of the logs that have more to say than usual.
sub _show_logs () {
    for my $server (@servers) {
        my @lines = grep { !/\blevel=info|there are no users/ } split /\n/, $server->log;
        splice @lines, 0, @lines - 20 if @lines > 20;
        Test::More::diag(join "\n", "---- the end of the log of $server->{dir}", @lines) if @lines;
    }
    return;
}

# A test that died leaves its servers.
END {
    if ($$ == $main) {
        my $status  = $?;
        my @orphans = grep { $_->running || $_->processes } @servers;
        _show_logs() if @orphans;
        $_->_destroy for @orphans;
        $? = $status;
    }
}

1;
