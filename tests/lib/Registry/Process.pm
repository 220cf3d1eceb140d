package Registry::Process;
use v5.36;

# Processes as /proc shows them.

use Exporter 'import';

our @EXPORT = qw(processes_below command_of title_of parent_of children_of memory_peak_kb alive stop_at_rest);

sub _read ($path) {
    open my $in, '<', $path or return undef;
    local $/;
    my $text = <$in>;
    return $text;
}

# Those that work in a directory or below it. A zombie has no working directory, so it isn't one.
sub processes_below ($dir) {
    opendir my $proc, '/proc' or die "/proc: $!";
    my @found;
    for my $pid (grep { /^\d+$/ && $_ != $$ } readdir $proc) {
        my $cwd = readlink("/proc/$pid/cwd") // next;
        push @found, $pid if $cwd eq $dir || index($cwd, "$dir/") == 0;
    }
    return sort { $a <=> $b } @found;
}

# What ps shows.
sub command_of ($pid) { return (_read("/proc/$pid/cmdline") // '') =~ s/\0+$//r =~ tr/\0/ /r }

# "worker api 3" of "docker-registry-server: worker api 3"; "" for others.
sub title_of ($pid) { return command_of($pid) =~ /^docker-registry-server: (.*)/s ? $1 =~ s/\s+$//r : '' }

sub parent_of ($pid) { return (_read("/proc/$pid/stat") // '') =~ /\) \S (\d+)/ ? $1 : 0 }

sub children_of ($pid) {
    opendir my $proc, '/proc' or die "/proc: $!";
    return sort { $a <=> $b } grep { /^\d+$/ && parent_of($_) == $pid } readdir $proc;
}

# The most memory that it ever had at once.
sub memory_peak_kb ($pid) { return (_read("/proc/$pid/status") // '') =~ /^VmHWM:\s+(\d+) kB/m ? $1 : 0 }

# Stops a process while it waits in poll(2) for something to do: so it holds no lock of the database, for which
# everybody would wait with it. Dies when it is busy for long.
sub stop_at_rest ($pid) {
    state %POLLS = map { $_ => 1 } 7, 271, 73; # poll and ppoll of x86-64, ppoll of arm64
    my $end = time + 30;
    while (time < $end && kill 'STOP', $pid) {
        select undef, undef, undef, 0.01 while (_read("/proc/$pid/stat") // '') =~ /\) [^TZX] /;
        my ($call) = split ' ', _read("/proc/$pid/syscall") // return;
        return if $POLLS{$call};
        kill 'CONT', $pid;
        select undef, undef, undef, 0.02;
    }
    die "process $pid never rests";
}

sub alive ($pid) { return (_read("/proc/$pid/stat") // '') =~ /\) [^ZX] / }

1;
