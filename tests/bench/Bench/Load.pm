package Bench::Load;
use v5.36;

# The client in load/: its program, and what it prints.
#
#   my $seen = load('requests', -c => 32, -s => 2, $url);    # { done, seconds, rate, p50, p99, max, … }

use Bench;
use Exporter 'import';
use FindBin;
use POSIX ();
use Registry::Tools qw(find_program);

our @EXPORT = qw(load load_begin load_end build_load);

# Compiled anew each time: it takes a second, and is never older than its source.
sub build_load () {
    state $program;
    return $program if $program;
    my $compiler = find_program('cc') // die "there is no C compiler (Debian package gcc)\n";
    command($compiler, '-O2', '-D_GNU_SOURCE', '-o', tempdir() . '/load', glob("$FindBin::Bin/load/*.c"), '-lssl', '-lcrypto');
    return $program = tempdir() . '/load';
}

sub load ($kind, @arguments) { return _numbers(command(build_load(), $kind, @arguments)) }

sub _numbers ($text) {
    my %seen = $text =~ /^(\w+) ([\d.]+)$/mg;
    defined $seen{max} or die "load prints no numbers:\n$text";
    return { %seen, rate => $seen{done} / $seen{seconds} };
}

# "slow": returns when all uploads are under way. It goes on until load_end.
sub load_begin (@arguments) {
    pipe my $in,  my $keep or die "pipe: $!\n";
    pipe my $out, my $write or die "pipe: $!\n";
    my $program = build_load();
    my $pid     = fork // die "fork: $!\n";
    if ($pid == 0) {
        open STDIN,  '<&', $in    or POSIX::_exit(126);
        open STDOUT, '>&', $write or POSIX::_exit(126);
        close $_ for $keep, $out;
        exec $program, 'slow', @arguments;
    }
    close $_ for $in, $write;
    my $line = <$out> // '';
    die "the slow uploads didn't begin\n" if $line ne "ready\n";
    return { pid => $pid, keep => $keep, out => $out };
}

sub load_end ($running) {
    close $running->{keep};
    my $out  = $running->{out};
    my $text = do { local $/; <$out> } // '';
    waitpid $running->{pid}, 0;
    die "slow uploads failed\n" if $?;
    return _numbers($text);
}

1;
