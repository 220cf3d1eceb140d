package Registry::Distribution;
use v5.36;

# Debian's docker-registry, to import from: my $other = Registry::Distribution->start; it is a
# Registry::Client as well. Its files are below $other->dir.

use parent 'Registry::Client';
use POSIX ();
use Registry::Tools;

my @running;

# Option: user, whom it runs as (root only).
sub start ($class, %o) {
    my $dir = tempdir();
    chmod 0777, $dir;
    my $port = free_port();
    my $conf = spew("$dir/config.yml", <<~END);
        version: 0.1
        log:
          level: error
          accesslog:
            disabled: true
        storage:
          filesystem:
            rootdirectory: $dir/data
          delete:
            enabled: true
        http:
          addr: 127.0.0.1:$port
          secret: import
        END
    my $uid = defined $o{user} ? (getpwnam($o{user}))[2] // die "no user $o{user}" : undef;
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        open STDOUT, '>', "$dir/log"  or POSIX::_exit(126);
        open STDERR, '>&', \*STDOUT   or POSIX::_exit(126);
        open STDIN,  '<', '/dev/null' or POSIX::_exit(126);
        POSIX::setuid($uid) if defined $uid;
        { no warnings 'exec'; exec { find_program('docker-registry') } 'docker-registry', 'serve', $conf }
        POSIX::_exit(127);
    }
    my $self = bless { host => '127.0.0.1', port => $port, timeout => 30, pid => $pid, dir => "$dir/data", owner => $$ }, $class;
    push @running, $self;
    wait_for(20, sub { $self->get('/v2/')->status == 200 }) or die "docker-registry doesn't start:\n" . slurp("$dir/log");
    return $self;
}

sub dir ($self) { return $self->{dir} }

sub stop ($self) {
    my $pid = delete $self->{pid} // return;
    kill 'KILL', $pid;
    waitpid $pid, 0;
    return;
}

# Where a blob's bytes are.
sub blob_file ($self, $digest) {
    my ($algorithm, $hex) = split /:/, $digest;
    return "$self->{dir}/docker/registry/v2/blobs/$algorithm/" . substr($hex, 0, 2) . "/$hex/data";
}

END {
    my $status = $?;
    $_->stop for grep { $_->{owner} == $$ } @running;
    $? = $status;
}

1;
