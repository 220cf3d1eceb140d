package Registry::Nginx;
use v5.36;

# Somebody else's nginx: a program of its own with a site of its own, beside the registry.
#
#   my $site = Registry::Nginx->start(http => $text, server => $text);
#   $site->client->get('/');
#
# All paths of the texts can be relative to ->dir. As root its workers are www-data, like Debian's.

use IO::Socket::INET ();
use POSIX ();
use Registry::Client ();
use Registry::Tools;

my @started;
my $main = $$;

# Options:
#   http     what is in http { } beside the servers
#   server   what is in the server { } beside listen; or an array of those, for a port each
#   listen   behind the address in "listen": "ssl"
#   user     of its workers, when started as root (www-data)
#   files    { name => bytes } in its directory
# Returns undef when it does not take that configuration; ->last_words then tells why.
sub start ($class, %o) {
    my $dir     = tempdir();
    my @servers = ref $o{server} ? @{ $o{server} } : $o{server} // '';
    my $self    = bless { dir => $dir, owner => $$, ports => [ map { free_port() } @servers ] }, $class;
    mkdir "$dir/$_" for 'www', 'temp';
    spew("$dir/$_", $o{files}{$_}) for keys %{ $o{files} // {} };
    $self->write_conf(%o);
    my $ran = $self->ctl;
    $class->last_words($ran->{err} . slurp("$dir/error.log"));
    return undef if $ran->{exit} != 0;
    push @started, $self;
    wait_for(10, sub { $self->pid && $self->client->connect }) or die 'nginx does not answer: ' . $self->log;
    return $self;
}

sub last_words ($class, $text = undef) {
    state $said = '';
    $said = $text if defined $text;
    return $said;
}

sub write_conf ($self, %o) {
    my @servers = ref $o{server} ? @{ $o{server} } : $o{server} // '';
    my $user    = is_root() ? 'user ' . ($o{user} // 'www-data') . ';' : '';
    my $listen  = defined $o{listen} ? " $o{listen}" : '';
    my $temp    = join "\n", map { "${_}_temp_path temp/$_;" } qw(client_body fastcgi proxy scgi uwsgi);
    my $i       = 0;
    my $blocks  = join "\n", map { "server {\nlisten 127.0.0.1:$self->{ports}[$i++]$listen;\n$_\n}" } @servers;
    spew("$self->{dir}/nginx.conf", <<~"END");
        $user
        worker_processes 2;
        pid nginx.pid;
        error_log error.log info;
        events { worker_connections 256; }
        http {
        access_log off;
        default_type text/plain;
        $temp
        ${\($o{http} // '')}
        $blocks
        }
        END
    return;
}

# nginx itself, with this configuration and more arguments: -s reload, say.
sub ctl ($self, @more) {
    return run([ find_program('nginx'), '-p', "$self->{dir}/", '-c', 'nginx.conf', '-e', 'error.log', @more ]);
}

sub dir ($self)              { return $self->{dir} }
sub log ($self)              { return slurp("$self->{dir}/error.log") }
sub pid ($self)              { return slurp("$self->{dir}/nginx.pid") =~ /(\d+)/ ? $1 : 0 }
sub port ($self, $i = 0)     { return $self->{ports}[$i] }
sub client ($self, $i = 0, %o) { return Registry::Client->new(port => $self->{ports}[$i], %o) }

sub stop ($self) {
    @started = grep { $_ != $self } @started;
    my $pid = $self->pid || return;
    kill 'TERM', $pid;
    wait_for(10, sub { !kill 0, $pid }) or kill 'KILL', $pid;
    return;
}

END {
    if ($$ == $main) {
        my $status = $?;
        $_->stop for grep { $_->{owner} == $$ } @started;
        $? = $status;
    }
}

1;
