package Bench::Server;
use v5.36;

# A server that is measured: a name, what it is, and the command for a directory and a port. When it is
# started, it gets a fresh directory, and it loses the directory when it is stopped.
#
#   my $server = Bench::Server->new(name => …, about => …, command => sub ($dir, $port, $server) { … });
#   $server->start;
#   $server->restart(tls => [ $certificate, $key ]);
#   my $seen = $server->watch(sub { … });    # { result, cpu, memory }
#   $server->stop;

use File::Path ();
use POSIX ();
use Registry::Client ();
use Registry::Tools qw(free_port slurp wait_for);
use Time::HiRes qw(sleep time);

my $main = $$;
my @running;
my %watchers;    # pids

# Options besides: ready (the path that is asked at the start, /v2/), before (called with the directory and
# the server before each start).
sub new ($class, %o) { return bless {%o}, $class }

# The processes that look at the memory.
sub end_watchers ($class) {
    kill 'TERM', keys %watchers;
    return;
}

# All that run, at the end of the program; says before what they logged last.
sub stop_all ($class, $tell) {
    for my $server (my @left = @running) {
        print STDERR "---- the end of the log of $server->{name}\n", $server->last_words if $tell;
        $server->stop;
    }
    return;
}

sub url ($self, $path) {
    my $scheme = $self->{tls} ? 'https' : 'http';
    return $path =~ m{^(/|$)} ? "$scheme://127.0.0.1:$self->{port}$path" : $path;
}

sub start ($self) {
    state $n = 0;
    $self->{dir} = Bench::tempdir() . '/' . $n++ . "-$self->{name}";
    mkdir $self->{dir} or die "cannot make $self->{dir}: $!\n";
    return $self->_launch;
}

# Stops it and starts it again on the same directory, with other options.
sub restart ($self, %o) {
    $self->_end;
    %$self = (%$self, %o);
    return $self->_launch;
}

# Its processes are killed, and it is started again on the same directory.
sub crash ($self) {
    $self->_end('KILL');
    return $self->_launch;
}

# Returns when it answers; then {started} has the seconds that this took.
sub _launch ($self) {
    $self->{port} = free_port();
    $self->{before}->($self->{dir}, $self) if $self->{before};
    my @command = $self->{command}->($self->{dir}, $self->{port}, $self);
    my $begin = time;
    my $pid = fork // die "fork: $!\n";
    if ($pid == 0) {
        chdir $self->{dir} or POSIX::_exit(126);
        open STDIN,  '<',  '/dev/null'        or POSIX::_exit(126);
        open STDOUT, '>>', "$self->{dir}/log" or POSIX::_exit(126);
        open STDERR, '>>', "$self->{dir}/log" or POSIX::_exit(126);
        { no warnings 'exec'; exec { $command[0] } @command }
        print STDERR "cannot run $command[0]: $!\n";
        POSIX::_exit(127);
    }
    $self->{pid}    = $pid;
    $self->{client} = Registry::Client->new(port => $self->{port}, timeout => 600);
    push @running, $self;
    my $end = time + 120;
    sleep 0.001 while $self->_running && !$self->_answers && time < $end;
    $self->{started} = time - $begin;
    die "$self->{name} doesn't start: @command\n" if !$self->_running || time >= $end;
    return $self;
}

sub _answers ($self) {
    my $path   = $self->{ready} // '/v2/';
    my $status = $self->{tls}
        ? (eval { Bench::command('curl', '-q', '--noproxy', '*', '-sk', '-o', '/dev/null', '-w', '%{http_code}', $self->url($path)) } // 0)
        : $self->{client}->raw($self->{client}->head_of('GET', $path))->status;
    return $status == 200 || ($self->{users} && $status == 401);
}

# The end of what it wrote to its output and log.
sub last_words ($self) {
    my @lines = split /^/, slurp("$self->{dir}/log");
    splice @lines, 0, @lines - 20 if @lines > 20;
    return @lines;
}

sub _running ($self) {
    delete $self->{pid} if defined $self->{pid} && waitpid($self->{pid}, POSIX::WNOHANG()) != 0;
    return defined $self->{pid};
}

# Stops it and removes its files.
sub stop ($self) {
    $self->_end;
    File::Path::remove_tree($self->{dir});
    return;
}

# Its processes are remembered before: who outlives it is killed.
sub _end ($self, $signal = 'TERM') {
    @running = grep { $_ != $self } @running;
    my %seen = map { $_ => _started($_) } $self->pids;
    my $left = sub { grep { $seen{$_} ne '' && _started($_) eq $seen{$_} } keys %seen };
    kill $signal, $signal eq 'KILL' ? keys %seen : $self->{pid} if $self->_running;
    wait_for(15, sub { !$self->_running && !$left->() });
    kill 'KILL', $left->();
    waitpid delete $self->{pid}, 0 if defined $self->{pid};
    return;
}
# Fields of /proc/PID/stat behind the name, from the state on.
sub _stat ($pid) { return slurp("/proc/$pid/stat") =~ /.*\) (.*)/s ? split(/ /, $1) : () }

# When it was started; "" when it is no more. Tells a process from a later one of the same number.
sub _started ($pid) {
    my @stat = _stat($pid);
    return @stat && $stat[0] !~ /[ZX]/ ? $stat[19] : '';
}

# It and all its descendants.
sub pids ($self) {
    return () if !defined $self->{pid};
    opendir my $proc, '/proc' or die "/proc: $!\n";
    my %children;
    for my $pid (grep { /^\d+$/ } readdir $proc) {
        my @stat = _stat($pid);
        push @{ $children{ $stat[1] } }, $pid if @stat;
    }
    my @tree = ($self->{pid});
    for (my $i = 0; $i < @tree; $i++) { push @tree, @{ $children{ $tree[$i] } // [] } }
    return @tree;
}

# Seconds of CPU so far, with those of children that ended.
sub cpu ($self) {
    state $tick = POSIX::sysconf(POSIX::_SC_CLK_TCK());
    my $sum = 0;
    for my $pid ($self->pids) {
        my @stat = _stat($pid) or next;
        $sum += $_ for @stat[ 11 .. 14 ];
    }
    return $sum / $tick;
}

# Proportional share of memory of all its processes, in kB: what several have in common counts once.
# undef when it may not be seen.
sub memory ($self) {
    my $sum = 0;
    for my $pid ($self->pids) {
        $sum += slurp("/proc/$pid/smaps_rollup") =~ /^Pss:\s+(\d+)/m ? $1 : 0;
    }
    return $sum || undef;
}

# Does the work and returns what it returned, the CPU seconds that it cost the server, and the most
# memory that was seen meanwhile, four times a second.
sub watch ($self, $work) {
    my $before  = $self->cpu;
    my $watcher = open(my $out, '-|') // die "fork: $!\n";
    if ($watcher == 0) {
        my ($most, $done) = (0, 0);
        local $SIG{TERM} = sub { $done = 1 };
        while (!$done && getppid == $main) {
            my $now = $self->memory // 0;
            $most = $now if $now > $most;
            sleep 0.25 if !$done;
        }
        syswrite STDOUT, $most;
        POSIX::_exit(0);
    }
    $watchers{$watcher} = 1;
    my @result = eval { $work->() };
    my $failed = $@;
    kill 'TERM', $watcher;
    my $most = <$out>;
    close $out;
    delete $watchers{$watcher};
    die $failed if $failed;
    return { result => $result[0], cpu => $self->cpu - $before, memory => $most || undef };
}

1;
