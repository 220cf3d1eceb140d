package Client::Ctr;
use v5.36;
use parent 'Client';
use POSIX ();
use Registry::Process;
use Registry::Tools;

# containerd's own command line, with a containerd of its own.

sub name ($class)     { return 'ctr' }
sub programs ($class) { return ('ctr', 'containerd') }
sub version ($class)  { return run([ 'ctr', '--version' ])->{out} =~ /containerd ([\d.]+)/ ? $1 : '?' }

my ($home, $daemon);

sub absent ($class) {
    my $why = $class->SUPER::absent;
    return $why if defined $why;
    return 'containerd needs root' if !is_root();
    return $class->_start ? undef : 'containerd does not start: ' . substr slurp("$home/log"), -300;
}

sub _start ($class) {
    $home = tempdir();
    spew("$home/config.toml", <<"END");
version = 2
root = "$home/root"
state = "$home/state"
disabled_plugins = ["io.containerd.grpc.v1.cri", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.btrfs",
    "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.zfs"]
[grpc]
  address = "$home/containerd.sock"
[ttrpc]
  address = "$home/containerd.sock.ttrpc"
END
    $daemon = fork // die "fork: $!";
    if ($daemon == 0) {
        open STDOUT, '>', "$home/log" or POSIX::_exit(126);
        open STDERR, '>&', \*STDOUT   or POSIX::_exit(126);
        chdir $home;
        { no warnings 'exec'; exec { 'containerd' } 'containerd', '--config', "$home/config.toml" }
        POSIX::_exit(127);
    }
    return wait_for(20, sub { run([ 'ctr', '--address', "$home/containerd.sock", 'version' ])->{exit} == 0 });
}

sub finish ($class) {
    return if !$daemon;
    kill 'TERM', $daemon;
    if (!wait_for(10, sub { waitpid($daemon, POSIX::WNOHANG()) != 0 })) {
        kill 'KILL', $daemon;
        waitpid $daemon, 0;
    }
    kill 'KILL', processes_below($home);
    undef $daemon;
    return;
}

END { Client::Ctr->finish }

sub call ($self, @args) { return $self->exec([ 'ctr', '--address', "$home/containerd.sock", @args ]) }

# On the loopback network it would speak plain HTTP. 0.0.0.0 isn't part of that for it, and Linux
# leads it to 127.0.0.1.
sub prepare ($self) {
    $self->{at} = '0.0.0.0:' . $self->place->port if $self->place->closed;
    return;
}

sub how ($self) {
    return '--plain-http' if !$self->place->closed;
    return ('--tlscacert', $self->place->authority, '--user', 'ann:secret');
}

# Takes a layout in, under that name.
sub _import ($self, $which, $name) {
    my $tar = $self->dir("$which.tar");
    $self->good($self->exec([ 'tar', '-cf', $tar, '-C', $self->place->layout($which), '.' ]));
    $self->must('images', 'import', '--all-platforms', '--no-unpack', '--base-name', $name =~ s/:[^:]*$//r, $tar);
    return;
}

# Nothing of any image is left here; then it is pulled, and written out again.
sub _fetch ($self, $name, $which) {
    $self->must('images', 'rm', '--sync', grep { length } split /\n/, $self->must('images', 'ls', '-q'));
    my $left = $self->must('content', 'ls', '-q');
    die "content is left: $left\n" if $left =~ /sha256/;
    $self->must('content', 'fetch', '--all-platforms', $self->how, $name);
    my $dir = $self->dir("back-$which");
    $self->must('images', 'export', '--all-platforms', "$dir.tar", $name);
    $self->good($self->exec([ 'sh', '-c', 'rm -rf "$1"; mkdir "$1"; tar -xf "$1.tar" -C "$1"', 'sh', $dir ]));
    return $self->place->same_blobs($which, $dir);
}

sub wrong_password ($self) {
    my @wrong = map { $_ eq 'ann:secret' ? 'ann:wrong' : $_ } $self->how;
    return $self->must_not($Client::REFUSED, 'content', 'fetch', @wrong, $self->ref_to);
}

sub push ($self) {
    $self->_import('image', $self->ref_to);
    $self->must('images', 'push', $self->how, $self->ref_to);
    $self->place->serves($self->repo, 'v1', $self->place->digest_of('image'));
    return;
}

sub pull ($self) {
    $self->_fetch($self->ref_to, 'image');
    # and with its layers unpacked, as it is run
    return $self->must('images', 'pull', '--snapshotter', 'native', $self->how, $self->ref_to);
}

sub pull_digest ($self) { return $self->_fetch($self->ref_by($self->place->digest_of('image')), 'image') }

sub missing ($self) { return $self->must_not($Client::MISSING, 'content', 'fetch', $self->how, $self->ref_to('app', 'none')) }

sub index ($self) {
    $self->_import('index', $self->ref_to('index'));
    $self->must('images', 'push', $self->how, $self->ref_to('index'));
    $self->place->serves($self->repo('index'), 'v1', $self->place->digest_of('index'));
    return $self->_fetch($self->ref_to('index'), 'index');
}

# Of one blob, without an image around it.
sub blob ($self) {
    my ($layer) = @{ $self->place->serves($self->repo, $self->place->digest_of('image'))->{layers} };
    my $out = $self->must('content', 'fetch-object', $self->how, $self->at . '/' . $self->repo . "\@$layer->{digest}");
    return $self->same(digest($out), $layer->{digest}, 'the blob');
}

# ---- with rules ----

# It is told a password with each command.
sub enter ($self, $user, $password = undef) {
    $self->{user} = "$user:" . $self->password_of($user, $password);
    return { exit => 0, signal => 0, out => '', err => '' };
}

sub leave ($self) { return delete $self->{user} }

sub _reach ($self) {
    return ($self->place->closed ? ('--tlscacert', $self->place->authority) : '--plain-http', $self->{user} ? ('--user', $self->{user}) : ());
}

sub give ($self, $path, $which) {
    $self->_import($which, $self->named($path)) if !$self->{given}{$path}{$which}++;
    my $name = $self->named($path);
    my $made = $name =~ s/:[^:]*$/:v1/r;
    $self->must('images', 'tag', '--force', $made, $name) if $made ne $name;
    return $self->call('images', 'push', $self->_reach, $name);
}

sub take ($self, $path) { return $self->call('content', 'fetch', '--all-platforms', $self->_reach, $self->named($path)) }

1;
