package Bench::Docker;
use v5.36;

# A docker engine of its own, without networks, with its files in a directory of its own.

use Bench;
use POSIX ();
use Registry::Tools qw(find_program wait_for);

my @running;

# The engine; or undef, and why there is none.
sub start ($class) {
    my ($dockerd, $docker) = map { find_program($_) } qw(dockerd docker);
    return (undef, 'docker is not installed (Debian package docker.io)') if !$dockerd || !$docker;
    return (undef, 'a docker engine wants root') if $> != 0;
    my $dir = tempdir() . '/docker';
    mkdir $dir;
    my $pid = fork // die "fork: $!\n";
    if ($pid == 0) {
        setpgrp;
        open STDIN,  '<', '/dev/null';
        open STDOUT, '>', "$dir/log";
        open STDERR, '>', "$dir/log";
        exec $dockerd, '--iptables=false', '--ip6tables=false', '--bridge=none', '--storage-driver=vfs', '--data-root', "$dir/data",
            '--exec-root', "$dir/exec", '--pidfile', "$dir/pid", '-H', "unix://$dir/socket";
    }
    my $self = bless { pid => $pid, dir => $dir, docker => $docker }, $class;
    push @running, $self;
    my $up = wait_for(30, sub { waitpid($pid, POSIX::WNOHANG()) == 0 && -S "$dir/socket" && eval { $self->run('version'); 1 } });
    return $self if $up;
    $self->stop;
    return (undef, 'the docker engine does not start here');
}

sub run ($self, @arguments) { return command('sh', '-c', 'exec "$0" "$@" 2>&1', $self->{docker}, '-H', "unix://$self->{dir}/socket", @arguments) }

sub stop ($self) {
    @running = grep { $_ != $self } @running;
    kill 'TERM', $self->{pid};
    wait_for(20, sub { waitpid($self->{pid}, POSIX::WNOHANG()) != 0 }) or kill 'KILL', -$self->{pid};
    return;
}

END { $_->stop for @running }

1;
