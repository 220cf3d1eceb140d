package Registry::Nodes;
use v5.36;

# Several servers of one database and one directory of blobs, behind an nginx that gives each request to the next of them.
# To its clients it is one registry:
#
#   my $nodes = Registry::Nodes->start(2, args => [ '--user', 'ann:secret' ], user => 'ann:secret');
#   is_status($nodes->push_image('a/b', 'v1', [$layer]), 201, 'each request to another one');
#   is_status($_->get('/v2/a/b/tags/list'), 200, 'both know it') for $nodes->all;
#
# finish() of Registry stops the servers.

use parent 'Registry::Client';
use Registry ();
use Registry::Nginx;
use Registry::Postgresql;
use Registry::Tools;

# Why there can't be any, or undef.
sub missing ($class) {
    return 'PostgreSQL 15 is not installed (Debian: postgresql-15)' if !Registry::Postgresql->programs;
    return 'the program was built without PostgreSQL (Debian: libpq-dev)' if slurp(Registry->program) !~ /kv_gate/;
    return undef;
}

# Options: args, user and expected as Registry->start; timeout as Registry::Client.
sub start ($class, $n, %o) {
    my $pg    = Registry::Postgresql->start;
    my $blobs = tempdir() . '/blobs';
    mkdir $blobs or die "$blobs: $!";
    if (is_root()) { chown((getpwnam 'www-data')[ 2, 3 ], $blobs) or die "chown: $!" }
    my $self = bless {
        host  => '127.0.0.1', timeout => $o{timeout} // 60, user => $o{user}, pg => $pg, blobs => $blobs,
        store => [ '--database', $pg->database('registry'), '--blobs', $blobs ], env => { PGPASSWORD => $pg->password },
        args  => $o{args} // [], expected => $o{expected},
    }, $class;
    push @{ $self->{all} }, $self->_start_node(free_port()) for 1 .. $n;
    my $living = q(SELECT count(*) FROM kv_node WHERE beat > now() - interval '20 s');
    wait_for(30, sub { $self->sql($living) == $n }) or die "not all of the $n nodes live";
    $self->{front} = _front(map { $_->port } $self->all);
    $self->{port}  = $self->{front}->port;
    return $self;
}

sub _start_node ($self, $port, @dir) {
    return Registry->start(
        (map { $_ => $self->{$_} } qw(env user expected)), listen => [ '--listen', '127.0.0.1', '--port', $port ],
        args => [ @{ $self->{store} }, '--node-address', "127.0.0.1:$port", @{ $self->{args} } ], @dir,
    );
}

# Starts one again that has crashed.
sub revive ($self, $i) {
    my $dead = $self->{all}[$i];
    return $self->{all}[$i] = $self->_start_node($dead->port, dir => $dead->dir);
}

# As that of contrib/cluster. All workers of this nginx take the servers in the same turns.
sub _front (@ports) {
    my $servers = join ' ', map { "server 127.0.0.1:$_ max_fails=0;" } @ports;
    return Registry::Nginx->start(http => "upstream nodes { zone nodes 64k; $servers keepalive 16; }", server => <<'END');
client_max_body_size 0;
location / {
    proxy_pass http://nodes;
    proxy_http_version 1.1;
    proxy_request_buffering off;
    proxy_buffering off;
    proxy_next_upstream off;
    proxy_read_timeout 1h;
    proxy_set_header Host $http_host;
    proxy_set_header Connection "";
}
END
}

sub all ($self)   { return @{ $self->{all} } }
sub blobs ($self) { return $self->{blobs} }

# A command in the data directory of one of them, as Registry->try.
sub command ($self, $i, @words) {
    return Registry->try([ @words, '--dir', $self->{all}[$i]->dir, @{ $self->{store} } ], env => $self->{env}, timeout => 600);
}

# What the database says.
sub sql ($self, $text) {
    my $ran = $self->{pg}->sql('registry', $text);
    die "$text: $ran->{err}" if $ran->{exit} != 0;
    chomp $ran->{out};
    return $ran->{out};
}

# Regular files below a part of the data directories.
sub files ($self, $below) { return map { $_->files($below) } $self->all }

sub stop ($self) {
    $self->{front}->stop;
    $_->stop for $self->all;
    $self->{pg}->stop;
    return;
}

# For a program that is no test: what was wrong with them, after stop().
sub problems ($self) { return map { $_->problems } $self->all }

1;
