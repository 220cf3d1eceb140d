package Registry::Clients;
use v5.36;

# The clients that people use, each with a home, a storage and credentials of its own in a temporary
# directory: nothing of the machine's is touched. All return what Registry::Tools::run returns.

use Exporter 'import';
use Registry::Process;
use POSIX ();
use Registry::Tools qw(tempdir wait_for find_program spew slurp);

our @EXPORT = qw(curl curl_beside skopeo);
my @started;

sub curl (@args) { return Registry::Tools::run([ 'curl', '-q', '--silent', '--show-error', '--max-time', '50', @args ]) }

# Runs curl beside the test; a function that waits for what it says: exit code, status, bytes received.
sub curl_beside (@args) {
    my $out = tempdir() . '/out';
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        open STDOUT, '>', $out or POSIX::_exit(126);
        exec 'curl', '-q', '--silent', '--insecure', '--write-out', '%{exitcode} %{http_code} %{size_download}', @args or POSIX::_exit(127);
    }
    return sub { waitpid $pid, 0; return slurp($out) };
}

# A home in which containers' tools find the settings that they need.
sub _home () {
    my $home = tempdir();
    mkdir $_ for "$home/.config", "$home/.config/containers", "$home/run";
    spew("$home/.config/containers/policy.json", '{"default":[{"type":"insecureAcceptAnything"}]}');
    spew("$home/registries.conf",                "unqualified-search-registries = []\n");
    spew("$home/auth.json",                      '{}');
    return $home;
}

sub _containers_env ($home) {
    return {
        HOME => $home, XDG_RUNTIME_DIR => "$home/run", TMPDIR => "$home/run",
        CONTAINERS_REGISTRIES_CONF => "$home/registries.conf", REGISTRY_AUTH_FILE => "$home/auth.json",
    };
}

sub skopeo (@args) {
    state $home = _home();
    return Registry::Tools::run([ 'skopeo', '--policy', "$home/.config/containers/policy.json", @args ],
        env => _containers_env($home), cwd => $home, timeout => 120);
}

# ---- podman and buildah: my $podman = Registry::Clients->podman; $podman->run('pull', …) ----

sub podman ($class)  { return $class->_containers('podman') }
sub buildah ($class) { return $class->_containers('buildah') }

sub _containers ($class, $program) {
    my $home = _home();
    mkdir $_ for "$home/root", "$home/runroot";
    my @command = ($program, '--root', "$home/root", '--runroot', "$home/runroot", '--storage-driver', 'vfs');
    push @command, '--cgroup-manager', 'cgroupfs' if $program eq 'podman';
    my $self = bless { home => $home, owner => $$, command => \@command, env => _containers_env($home) }, $class;
    push @started, $self;
    return $self;
}

# The same storage for the other program.
sub like ($self, $program) {
    my @command = @{ $self->{command} };
    @command = ($program, @command[ 1 .. 6 ]);    # without podman's own options
    return bless { %$self, command => \@command }, ref $self;
}

sub home ($self) { return $self->{home} }

sub run ($self, @args) {
    return Registry::Tools::run([ @{ $self->{command} }, @args ],
        env => $self->{env}, cwd => $self->{home}, timeout => 120);
}

# ---- a docker engine and its command line: docker_engine, ->run('push', …), ->stop ----

# The engine takes any name and address of the loopback network for insecure: it would neither look
# at a certificate there nor insist on TLS. 0.0.0.0 is none of them, and Linux leads it to 127.0.0.1.
# So in an /etc that only this engine sees, the name has that address. Its arguments: the engine's
# home, the name, and what runs there.
my $OWN_ETC = <<'END';
set -e
mount -t tmpfs -o mode=0755 tmpfs "$1/etc"
cp -a /etc/. "$1/etc"
echo "0.0.0.0 $2" >>"$1/etc/hosts"
rm -rf "$1/etc/docker"
mkdir "$1/etc/docker"
ln -s "$1/certs.d" "$1/etc/docker/certs.d"
mount --bind "$1/etc" /etc
shift 2
exec "$@"
END

# Option: name, by which this engine alone knows 127.0.0.1, with TLS and nothing less. undef when it
# doesn't come up; its log is then in $@.
sub docker_engine ($class, %o) {
    my $home   = tempdir();
    my $socket = "unix://$home/docker.sock";
    mkdir "$home/$_" for 'etc', 'certs.d';
    my $pid = fork // die "fork: $!";
    if ($pid == 0) {
        open STDOUT, '>', "$home/log" or POSIX::_exit(126);
        open STDERR, '>&', \*STDOUT   or POSIX::_exit(126);
        open STDIN,  '<', '/dev/null' or POSIX::_exit(126);
        chdir $home;
        $ENV{TMPDIR} = $home;
        my @command = (
            find_program('dockerd'), '--iptables=false', '--ip6tables=false', '--bridge=none', '--storage-driver=vfs',
            '--data-root', "$home/data", '--exec-root', "$home/exec", '--pidfile', "$home/pid", '-H', $socket,
        );
        unshift @command, 'unshare', '--mount', 'sh', '-c', $OWN_ETC, 'sh', $home, $o{name} if defined $o{name};
        { no warnings 'exec'; exec { $command[0] } @command }
        POSIX::_exit(127);
    }
    my $self = bless {
        home => $home, pid => $pid, owner => $$, command => [ 'docker', '-H', $socket ],
        env => { HOME => $home, DOCKER_CONFIG => "$home/config", TMPDIR => $home },
    }, $class;
    push @started, $self;
    my $gone = 0;
    my $up   = wait_for(40, sub {
        $gone = waitpid($pid, POSIX::WNOHANG()) == $pid;
        return $gone || $self->run('version')->{exit} == 0;
    });
    return $self if $up && !$gone;
    $@ = slurp("$home/log");
    $self->stop;
    return undef;
}

# From now on the engine (one with a name) believes this authority, and no other, for name:port. It shows a certificate,
# if that is given with its key.
sub trust ($self, $address, $authority, $cert = undef, $key = undef) {
    my $dir = "$self->{home}/certs.d/$address";
    mkdir $dir;
    spew("$dir/ca.crt", slurp($authority));
    spew("$dir/client.cert", slurp($cert)) if defined $cert;
    spew("$dir/client.key",  slurp($key))  if defined $key;
    return;
}

# ---- the end ----

# Stops the engine, or what podman leaves behind for an ordinary user; also done at the test's end.
sub stop ($self) {
    @started = grep { $_ != $self } @started;
    if (my $pid = delete $self->{pid}) {
        kill 'TERM', $pid;
        if (!wait_for(20, sub { waitpid($pid, POSIX::WNOHANG()) != 0 })) {
            kill 'KILL', $pid;
            waitpid $pid, 0;
        }
        wait_for(10, sub { !processes_below($self->{home}) });
    } elsif ($> != 0) {
        $self->run('unshare', 'rm', '-rf', "$self->{home}/root", "$self->{home}/runroot");
    }
    kill 'KILL', processes_below($self->{home});
    return;
}

END {
    my $status = $?;
    my @ours = grep { $_->{owner} == $$ } @started;    # stop() takes them out of the list
    $_->stop for @ours;
    $? = $status;
}

1;
