package Client::Crane;
use v5.36;
use parent 'Client';
use Registry::Tools;

sub name ($class)     { return 'crane' }
sub programs ($class) { return 'crane' }
sub module ($class)   { return 'github.com/google/go-containerregistry/cmd/crane@v0.22.1' }

# On the loopback network it expects the second page of a list over plain HTTP, whatever the first
# one came by. 0.0.0.0 isn't part of that network for it, and Linux leads it to 127.0.0.1.
sub prepare ($self) {
    $self->{at} = '0.0.0.0:' . $self->place->port if $self->place->closed;
    return;
}

# Its login asks nobody; so what counts is the first request with it.
sub login ($self) {
    $self->must_not($Client::REFUSED, 'catalog', $self->at);
    $self->must('auth', 'login', '-u', 'ann', '-p', 'secret', $self->at);
    $self->must('catalog', $self->at);
    return;
}

sub wrong_password ($self) {
    my %wrong = (env => { DOCKER_CONFIG => $self->dir('wrong') });
    my $crane = $self->find('crane');
    $self->good($self->exec([ $crane, 'auth', 'login', '-u', 'ann', '-p', 'wrong', $self->at ], %wrong));
    $self->refused($self->exec([ $crane, 'catalog', $self->at ], %wrong), $Client::REFUSED);
    return;
}

sub push ($self) {
    $self->must('push', $self->place->layout('image'), $self->ref_to);
    $self->place->serves($self->repo, 'v1', $self->place->digest_of('image'));
    return;
}

sub pull ($self) {
    $self->must('pull', '--format=oci', $self->ref_to, $self->dir('pulled'));
    $self->place->same_blobs('image', $self->dir('pulled'));
    $self->must('validate', '--remote', $self->ref_to);
    return;
}

sub pull_digest ($self) {
    $self->must('pull', '--format=oci', $self->ref_by($self->place->digest_of('image')), $self->dir('by-digest'));
    $self->place->same_blobs('image', $self->dir('by-digest'));
    return;
}

sub missing ($self) { return $self->must_not($Client::MISSING, 'pull', $self->ref_to('app', 'none'), $self->dir('none')) }

sub blob ($self) {
    $self->place->put_layout($self->repo, 'small');
    my ($layer) = @{ $self->place->serves($self->repo, $self->place->digest_of('small'))->{layers} };
    my $out = $self->must('blob', $self->ref_by($layer->{digest}));
    return $self->same(digest($out), $layer->{digest}, 'the blob');
}

sub tags ($self) {
    my @want = $self->place->many_tags;
    return $self->same_list([ sort split /\n/, $self->must('ls', $self->at . '/many/tags') ], \@want, 'tags');
}

sub catalog ($self) {
    $self->place->many_tags;
    return $self->includes([ split /\n/, $self->must('catalog', $self->at) ], 'many/tags', 'repositories');
}

sub copy ($self) {
    $self->must('copy', $self->ref_to, $self->ref_to('copy'));
    return $self->place->mounted($self->repo('copy'), $self->place->serves($self->repo('copy'), 'v1', $self->place->digest_of('image')));
}

sub index ($self) {
    $self->must('push', '--index', $self->place->layout('index'), $self->ref_to('index'));
    # It makes an index of its own around the one that the layout's index.json names.
    my $digest = $self->place->digest_at($self->repo('index'), 'v1');
    my $index  = $self->place->serves($self->repo('index'), 'v1', $digest);
    $self->place->serves($self->repo('index'), $self->place->digest_of('index'));
    $self->must('pull', '--format=oci', $self->ref_to('index'), $self->dir('index'));
    return $self->place->same_blobs('index', $self->dir('index'));
}

sub untag ($self) {
    my ($repository, $digest) = $self->doomed('untag');
    $self->must('delete', $self->ref_to('untag'));
    return $self->untagged($repository, $digest);
}

sub delete ($self) {
    my ($repository, $digest) = $self->doomed('delete');
    $self->must('delete', $self->ref_by($digest, 'delete'));
    return $self->deleted($repository, $digest);
}

# ---- with rules ----

sub enter ($self, $user, $password = undef) {
    return $self->call('auth', 'login', '-u', $user, '-p', $self->password_of($user, $password), $self->at);
}

sub leave ($self) { return $self->call('auth', 'logout', $self->at) }

sub give ($self, $path, $which) { return $self->call('push', $self->place->layout($which), $self->named($path)) }

sub take ($self, $path) { return $self->call('pull', '--format=oci', $self->named($path), $self->fresh) }

sub carry ($self, $from, $to) { return $self->call('copy', $self->named($from), $self->named($to)) }

sub drop ($self, $path) { return $self->call('delete', $self->named($path)) }

sub lists ($self) { return $self->call('catalog', $self->at) }

1;
