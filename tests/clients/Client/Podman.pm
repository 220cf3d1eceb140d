package Client::Podman;
use v5.36;
use parent 'Client';
use Registry::Clients ();
use Registry::Images;
use Registry::Tools;

# And buildah's, which has most of podman's words.

sub name ($class)     { return 'podman' }
sub programs ($class) { return 'podman' }
sub version ($class)  { return run([ ($class->programs)[0], '--version' ])->{out} =~ /version ([\d.]+)/ ? $1 : '?' }

my %containers;    # one storage each, for all places

sub containers ($class) {
    my $name = ref $class ? $class->name : $class->name;
    return $containers{$name} //= Registry::Clients->$name;
}

sub absent ($class) {
    my $why = $class->SUPER::absent;
    return $why if defined $why;
    my $ran = $class->containers->run('info');
    return $ran->{exit} ? "does not run here: $ran->{err}" : undef;
}

sub finish ($class) {
    my $containers = delete $containers{ $class->name };
    $containers->stop if $containers;
    return;
}

sub call ($self, @args) { return $self->containers->run(@args) }

sub prepare ($self) {
    if ($self->place->closed) {
        mkdir $self->dir('certs');
        spew($self->dir('certs/ca.crt'), slurp($self->place->authority));
        $self->_trust($self->containers->home . '/.config/containers/certs.d');
    }
    my $archive = $self->dir('image.tar');
    $self->{id} = make_archive($archive, 'localhost/app:v1', 2_000_000, 300_000, 1000);
    $self->load($archive);
    return;
}

# For searching, which has no option for it.
sub _trust ($self, $dir) {
    mkdir $_ for $dir, "$dir/" . $self->at;
    spew("$dir/" . $self->at . '/ca.crt', slurp($self->place->authority));
    return;
}

sub load ($self, $archive) { return $self->must('load', '-i', $archive) }

sub how ($self) { return $self->place->closed ? ('--cert-dir', $self->dir('certs')) : '--tls-verify=false' }

sub login ($self) { return $self->must('login', $self->how, '-u', 'ann', '-p', 'secret', $self->at) }

sub wrong_password ($self) {
    $self->must_not($Client::REFUSED, 'login', $self->how, '-u', 'ann', '-p', 'wrong', $self->at);
    return $self->must_not($Client::REFUSED, 'push', $self->how, '--creds', 'ann:wrong', 'localhost/app:v1', $self->ref_to);
}

sub push ($self) {
    $self->must('push', $self->how, '--digestfile', $self->dir('digest'), 'localhost/app:v1', $self->ref_to);
    my $manifest = $self->place->serves($self->repo, 'v1', slurp($self->dir('digest')));
    $self->same($manifest->{config}{digest}, $self->{id}, 'the configuration');
    return;
}

# What is in its storage under that name is the image that was pushed.
sub pulled ($self, $name) {
    my $out = $self->must('inspect', '--type', 'image', '--format', $self->id_of, $name);
    return $self->same($out =~ s/\s+$//r, $self->{id} =~ s/.*://r, 'the image');
}

sub id_of ($self) { return '{{.Id}}' }

sub fetch ($self, $name) {
    $self->must('rmi', '-a', '-f');
    $self->must('pull', $self->how, $name);
    $self->pulled($name);
    return $self->load($self->dir('image.tar'));
}

sub pull ($self) { return $self->fetch($self->ref_to) }

sub pull_digest ($self) { return $self->fetch($self->ref_by(slurp($self->dir('digest')))) }

sub missing ($self) { return $self->must_not($Client::MISSING, 'pull', $self->how, $self->ref_to('app', 'none')) }

sub index ($self) {
    my $list = 'localhost/list' . $self->place->port;
    $self->place->put_layout($self->repo('index'), 'index');
    $self->must('manifest', 'create', $list);
    # Its TLS options are those of an image's transport.
    $self->must('manifest', 'add', '--all', $self->how, $list, 'docker://' . $self->ref_to('index'));
    $self->must('manifest', 'push', '--all', $self->how, $list, 'docker://' . $self->ref_to('list'));
    my $index = $self->place->serves($self->repo('list'), 'v1', $self->place->digest_at($self->repo('list'), 'v1'));
    my @platforms = sort map { $_->{platform}{architecture} } @{ $index->{manifests} };
    return $self->same_list(\@platforms, [ 'amd64', 'arm64' ], 'platforms');
}

sub _search ($self, @what) {
    return $self->must('search', $self->place->closed ? () : '--tls-verify=false', '--limit', 2000, @what);
}

sub tags ($self) {
    my @want = $self->place->many_tags;
    my @is   = $self->_search('--list-tags', $self->at . '/many/tags') =~ m{/many/tags\s+(\S+)}g;
    return $self->same_list([ sort @is ], \@want, 'tags');
}

sub catalog ($self) {
    $self->place->many_tags;
    my $out = $self->_search('--format', '{{.Name}}', $self->at . '/tags');
    return $self->includes([ split /\n/, $out ], $self->at . '/many/tags', 'repositories');
}

# ---- with rules ----

sub _image ($self, $which) {
    return 'localhost/app:v1' if $which eq 'image';
    $self->{small} //= do {
        make_archive($self->dir('small.tar'), 'localhost/small:v1', 5000);
        $self->load($self->dir('small.tar'));
        1;
    };
    return 'localhost/small:v1';
}

sub enter ($self, $user, $password = undef) {
    return $self->call('login', $self->how, '-u', $user, '-p', $self->password_of($user, $password), $self->at);
}

sub leave ($self) { return $self->call('logout', $self->at) }

sub give ($self, $path, $which) { return $self->call('push', $self->how, $self->_image($which), $self->named($path)) }

sub always ($self) { return () }

sub take ($self, $path) { return $self->call('pull', $self->always, $self->how, $self->named($path)) }

# No list: it searches without its login first, by the first API, and then prints what everybody may pull.

1;
