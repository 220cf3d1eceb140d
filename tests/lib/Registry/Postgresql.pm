package Registry::Postgresql;
use v5.36;

# A PostgreSQL of the test's own, as an ordinary user, on a Unix socket in a temporary directory.
# What a power loss would take doesn't matter, so it waits for no disk, unless it is to be durable.
#
#   my $pg = Registry::Postgresql->start;
#   local @ENV{qw(PGPASSWORD)} = ($pg->password);
#   my $url = $pg->database('a');    # made anew
#
# It ends with the test.

use Carp qw(croak);
use POSIX ();
use Registry::Tools;
use Time::HiRes qw(sleep);

my @running;
my $main = $$;

# The directory of the server's programs, or undef.
sub programs ($class) {
    my ($found) = grep { -x "$_/postgres" && -x "$_/initdb" } map { "/usr/lib/postgresql/$_/bin" } reverse 15 .. 20;
    return $found;
}

# root becomes the user of Debian's package, since PostgreSQL refuses to run as root.
sub _as_user ($self, @command) {
    my $pid = fork // die "fork: $!";
    return $pid if $pid != 0;
    open STDIN,  '<',  '/dev/null'         or POSIX::_exit(126);
    open STDOUT, '>>', "$self->{tmp}/out" or POSIX::_exit(126);
    open STDERR, '>&', \*STDOUT           or POSIX::_exit(126);
    if (is_root()) {
        my ($uid, $gid) = @$self{qw(uid gid)};
        ($(, $)) = ($gid, "$gid $gid");
        ($<, $>) = ($uid, $uid);
        POSIX::_exit(126) if $> != $uid || $< != $uid;
    }
    chdir $self->{tmp} or POSIX::_exit(126);
    $ENV{LC_ALL} = 'C';
    delete @ENV{ grep { /^PG/ } keys %ENV };
    { no warnings 'exec'; exec { $command[0] } @command }
    POSIX::_exit(127);
}

# Options: tmp => its directory, which the caller removes; if there is one in it already, that goes on; socket => another
# directory for its socket, whose path may be 90 bytes long; durable; certificate and key => it also listens on a free port of
# 127.0.0.1, with TLS.
sub start ($class, %o) {
    my $tmp  = $o{tmp} // tempdir();
    my $self = bless { tmp => $tmp, socket => $o{socket} // $tmp, durable => $o{durable}, password => digest(random_bytes(16)) =~ s/^sha256://r }, $class;
    my @user = is_root() ? getpwnam('postgres') : ();
    croak 'there is no user postgres' if is_root() && !@user;
    @$self{qw(uid gid)} = @user[ 2, 3 ];
    my $is_there = -d "$tmp/data";
    push @running, $self;
    $self->{password} = slurp("$tmp/password") if $is_there;
    spew("$tmp/password", $self->{password});
    if (is_root()) { chown $self->{uid}, $self->{gid}, $tmp, $self->{socket}, "$tmp/password" or die "chown: $!" }
    $self->_use_tls(@o{qw(certificate key)}) if $o{certificate};
    return $self->launch if $is_there;
    my $pid = $self->_as_user($class->programs . '/initdb', '-D', "$self->{tmp}/data", '-A', 'scram-sha-256', '-N', '--no-locale',
        '-E', 'UTF8', '-U', 'registry', '--pwfile', "$self->{tmp}/password");
    waitpid $pid, 0;
    die "initdb failed:\n" . slurp("$self->{tmp}/out") if $? != 0;
    return $self->launch;
}

# Its key has to be its own.
sub _use_tls ($self, $certificate, $key) {
    my @own = map { "$self->{tmp}/tls.$_" } qw(crt key);
    spew($own[0], slurp($certificate));
    spew($own[1], slurp($key));
    chmod 0600, $own[1] or die "chmod: $!";
    if (is_root()) { chown $self->{uid}, $self->{gid}, @own or die "chown: $!" }
    $self->{port} = free_port();
    $self->{tls}  = [ map { ('-c', $_) } 'ssl=on', "ssl_cert_file=$own[0]", "ssl_key_file=$own[1]", 'listen_addresses=127.0.0.1', "port=$self->{port}" ];
    return;
}

# Starts it again after stop, with these settings besides ours.
sub launch ($self, @more) {
    my @settings = map { ('-c', $_) } 'listen_addresses=', "unix_socket_directories=$self->{socket}", 'max_connections=80',
        'max_pred_locks_per_transaction=256', 'wal_level=replica', 'max_wal_senders=2',
        $self->{durable} ? () : ('fsync=off', 'full_page_writes=off', 'shared_buffers=32MB', 'autovacuum_naptime=10min'), @more;
    $self->{pid} = $self->_as_user($self->programs . '/postgres', '-D', "$self->{tmp}/data", @settings, @{ $self->{tls} // [] });
    wait_for(30, sub { $self->sql('postgres', 'SELECT 1')->{exit} == 0 }) or die "postgres isn't ready:\n" . $self->log;
    return $self;
}

# How: INT stops it in order, KILL kills the postmaster and with it all others.
sub stop ($self, $how = 'INT') {
    return if !defined $self->{pid};
    kill $how, $self->{pid};
    waitpid delete $self->{pid}, 0;
    return;
}

# Runs one of its programs as its user, to the end.
sub as_user ($self, @command) {
    waitpid $self->_as_user(@command), 0;
    return $? == 0;
}

sub password ($self) { return $self->{password} }
sub log ($self)      { return slurp("$self->{tmp}/out") }
sub socket ($self)   { return $self->{socket} }
sub port ($self)     { return $self->{port} // 5432 }

sub sql ($self, $database, $text) {
    return run([ $self->programs . '/psql', '-qAtX', '-v', 'ON_ERROR_STOP=1', '-h', $self->{socket}, '-p', $self->port, '-U', 'registry', '-c', $text, $database ],
        env => { PGPASSWORD => $self->{password}, PGCONNECT_TIMEOUT => 5 });
}

# Makes a database, unless it is there, and returns its URL, which has no password.
sub database ($self, $name) {
    my $made = $self->sql('postgres', "CREATE DATABASE $name");
    die "CREATE DATABASE: $made->{err}" if $made->{exit} != 0 && $made->{err} !~ /already exists/;
    return "postgresql://registry@/$name?host=$self->{socket}";
}

END {
    if ($$ == $main) { local $?; $_->stop for @running }
}

1;
