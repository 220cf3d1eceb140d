package Client;
use v5.36;

# One client of the table. A class below has
#   name                  its column
#   programs              what has to be installed, the client itself first
#   module                where "go install" finds it, with its version; undef: it is Debian's
#   version               of what is installed (optional where the client says it)
#   prepare($self)        optional: what comes before all operations
#   and a method for each operation that the client has; it dies with the reason when that failed.
#   What it needs for a registry with rules, Rules.pm says.
# Each object has a home of its own, and a repository "NAME/app" in its place.

use JSON::PP qw(decode_json);
use Registry::Tools;

our $REFUSED = qr/unauthorized|invalid username|wrong user name or password/i;
our $MISSING = qr/not found|not_found|unknown|no such|404/i;

my $bin;    # a directory to look in first

sub look_in ($class, $dir) { $bin = $dir; return }

sub find ($class, $program) { return defined $bin && -x "$bin/$program" ? "$bin/$program" : find_program($program) }

sub module ($class) { return undef }

# The version that "go install" was given; not each of these programs knows it.
sub built ($class) {
    my $go  = find_program('go') // return undef;
    my $ran = run([ $go, 'version', '-m', $class->find(($class->programs)[0]) ]);
    return $ran->{out} =~ /^\s+mod\s+\S+\s+v([\d.]+)\b/m ? $1 : undef;
}

sub version ($class) {
    return $class->built // $class->told(run([ $class->find(($class->programs)[0]), 'version' ])->{out});
}

sub told ($class, $text) { return $text =~ /v?(\d+(?:\.\d+)+)/ ? $1 : '?' }

# Why it can't be tried here, or undef.
sub absent ($class) {
    my @missing = grep { !$class->find($_) } $class->programs;
    return @missing ? join(', ', @missing) . ' not found' : undef;
}

sub new ($class, $place) {
    my $self = bless { place => $place, home => tempdir(), at => '127.0.0.1:' . $place->port }, $class;
    $self->{env} = { HOME => $self->{home}, DOCKER_CONFIG => "$self->{home}/.docker", TMPDIR => $self->{home} };
    $self->{env}{SSL_CERT_FILE} = $place->authority if $place->closed;
    $self->prepare;
    return $self;
}

sub prepare ($self) { return }

# Once, after all places.
sub finish ($class) { return }

sub place ($self) { return $self->{place} }
sub home ($self)  { return $self->{home} }
sub at ($self)    { return $self->{at} }
sub repo ($self, $which = 'app') { return $self->name . "/$which" }
sub ref_to ($self, $which = 'app', $tag = 'v1') { return $self->at . '/' . $self->repo($which) . ":$tag" }

sub ref_by ($self, $digest, $which = 'app') { return $self->at . '/' . $self->repo($which) . "\@$digest" }

sub dir ($self, $name) { return "$self->{home}/$name" }

# ---- running it ----

sub exec ($self, $command, %o) {
    return run($command, env => { %{ $self->{env} }, %{ $o{env} // {} } }, cwd => $self->{home}, timeout => 120, stdin => $o{stdin});
}

sub call ($self, @args) { return $self->exec([ $self->find(($self->programs)[0]), @args ]) }

sub good ($self, $ran) {
    return $ran->{out} if $ran->{exit} == 0 && !$ran->{signal};
    my $said = $ran->{err} . $ran->{out};
    die +($ran->{timed_out} ? 'hangs: ' : '') . substr($said =~ s/\s+/ /gr, -600) . "\n";
}

sub refused ($self, $ran, $pattern) {
    my $said = $ran->{err} . $ran->{out};
    die "was not refused: $said\n"        if $ran->{exit} == 0;
    die "refused with another message: $said\n" if $said !~ $pattern;
    return;
}

# Runs it; dies unless it ends well; what it printed.
sub must ($self, @args) { return $self->good($self->call(@args)) }

# Runs it; dies unless it fails with such a message.
sub must_not ($self, $pattern, @args) { return $self->refused($self->call(@args), $pattern) }

# ---- with rules (Rules.pm) ----

# PATH or PATH:TAG, as an image's name.
sub named ($self, $path) { return $self->at . "/$path" . ($path =~ /:/ ? '' : ':v1') }

sub password_of ($self, $user, $password) { return $password // $self->place->password_of($user) }

sub held ($self, $path) { return $path =~ /^(.*):(.*)$/ ? ($1, $2) : ($path, 'v1') }

# A directory or file that isn't there yet.
sub fresh ($self) { return $self->dir('fresh-' . ++$self->{fresh}) }

# ---- comparing ----

sub same ($self, $is, $want, $what) {
    die "$what: other bytes\n" if $is ne $want;
    return;
}

sub same_list ($self, $is, $want, $what) {
    return if "@$is" eq "@$want";
    die "$what: " . @$is . ' of ' . @$want . ": @{$is}[0 .. ($#$is < 5 ? $#$is : 5)]\n";
}

sub includes ($self, $list, $item, $what) {
    die "$what: no $item in it\n" if !grep { $_ eq $item } @$list;
    return;
}

# A tree of two tags is put there by ourselves for a client to delete from: repository and digest.
sub doomed ($self, $which) {
    my $repository = $self->repo($which);
    my $digest     = $self->place->put_layout($repository, 'small');
    my $bytes      = $self->place->registry->get("/v2/$repository/manifests/v1")->content;
    $self->place->registry->put_manifest($repository, 'v2', $bytes)->status == 201 or die "no second tag\n";
    return ($repository, $digest);
}

# One tag is gone, and nothing else.
sub untagged ($self, $repository, $digest) {
    $self->place->lacks("$repository/manifests/v1");
    $self->place->serves($repository, 'v2', $digest);
    return;
}

# The manifest is gone, with its tags.
sub deleted ($self, $repository, $digest) {
    $self->place->lacks("$repository/manifests/$_") for 'v1', 'v2', $digest;
    return;
}

# What refers to an image, by our own question: a hash of digest to descriptor.
sub referrers_of ($self, $repository, $digest) {
    my $got = $self->place->registry->get("/v2/$repository/referrers/$digest");
    return { map { ($_->{digest} => $_) } @{ decode_json($got->content)->{manifests} } };
}

1;
