package RuledPlace;
use v5.36;
use parent -norequire, 'Place';

# A registry with access rules for the clients to try: with users, a group, a robot and public repositories. It is
# reached over HTTP or HTTPS, with our own nginx or behind another one.

use Place;
use Registry ();
use Registry::Nginx;
use Registry::Tools;

my %PASSWORD = (ann => 'ann-secret', bob => 'bob-secret', keeper => 'keeper-secret');
my $RULES    = <<'END';
**         keeper     all
team/**    @devs      pull,push,delete
team/**    ci         pull,create
public/**  @devs      push
public/**  anonymous  pull
{user}/**  {user}     all
END

# The four places of two registries.
sub all ($class) {
    my $tmp   = tempdir();
    my %files = (dir => $tmp);
    $files{authority} = [ make_certificate($tmp, 'authority') ];
    $files{site}      = [ make_certificate($tmp, 'registry', 1001, @{ $files{authority} }) ];
    return ($class->_alone(%files), $class->_behind(%files));
}

sub _start ($class, $dir, %o) {
    mkdir $_ for $dir, "$dir/auth";
    chown((getpwnam 'www-data')[2, 3], "$dir/auth") if is_root();
    spew("$dir/auth/access", $RULES);
    spew("$dir/auth/groups", "devs: ann\n");
    my @users = map { ('--user', "$_:$PASSWORD{$_}") } sort keys %PASSWORD;
    my $registry = Registry->start(%o, dir => $dir, user => "keeper:$PASSWORD{keeper}", args => [ '--log-level', 'debug', @users, @{ $o{args} // [] } ]);
    my $robot    = Registry->try([ 'user', 'add', 'ci', '--robot', '--dir', $dir ]);
    die "user add: $robot->{err}\n" if $robot->{exit};
    return ($registry, $robot->{out} =~ s/\s+\z//r);
}

sub _alone ($class, %files) {
    my ($cert, $key) = @{ $files{site} };
    my ($registry, $secret) = $class->_start("$files{dir}/alone", listeners => 2,
        args => [ '--tls-port', '0', '--tls-cert', $cert, '--tls-key', $key ]);
    my ($tls) = grep { serial_at($_) } $registry->ports;
    ($registry->{port}) = grep { $_ != $tls } $registry->ports;
    return map { $class->_new($registry, $secret, $_, 'our nginx', $_ ? $tls : $registry->port, $files{authority}[0]) } 0, 1;
}

sub _behind ($class, %files) {
    my ($dir, $sockets) = ("$files{dir}/behind", "$files{dir}/sockets");
    my ($registry, $secret) = $class->_start($dir, fastcgi => $sockets);
    my ($cert, $key) = @{ $files{site} };
    my %printed = ('site.crt' => slurp($cert), 'site.key' => slurp($key));
    for my $part ('http', 'server') {
        my $ran = Registry->try([ 'print-nginx-conf', "--$part", '--dir', $dir, '--fastcgi', $sockets ]);
        die "print-nginx-conf: $ran->{err}\n" if $ran->{exit};
        $printed{"$part.conf"} = $ran->{out};
    }
    my $tls   = "ssl_certificate site.crt;\nssl_certificate_key site.key;\n";
    my %nginx = map {
        ($_ => Registry::Nginx->start(files => \%printed, http => 'include http.conf;', $_ ? (listen => 'ssl http2') : (),
            server => ($_ ? $tls : '') . 'include server.conf;') // die Registry::Nginx->last_words)
    } 0, 1;
    $registry->{port} = $nginx{0}->port;
    my @places = map { $class->_new($registry, $secret, $_, 'another nginx', $nginx{$_}->port, $files{authority}[0]) } 0, 1;
    $places[$_]{nginx} = $nginx{$_} for 0, 1;
    return @places;
}

sub _new ($class, $registry, $secret, $closed, $where, $port, $authority) {
    my $label = ($where =~ /^our/ ? 'own' : 'other') . ($closed ? '-tls' : '');
    return bless { registry => $registry, closed => $closed, port => $port, where => $where, label => $label,
        authority => $authority, passwords => { %PASSWORD, ci => $secret } }, $class;
}

sub name ($self)              { return $self->SUPER::name . ", $self->{where}" }
sub label ($self)             { return $self->{label} }                             # part of a repository's name
sub password_of ($self, $user) { return $self->{passwords}{$user} }

sub problems ($self) {
    $self->{nginx}->stop if $self->{nginx};
    return $self->SUPER::problems;
}

1;
