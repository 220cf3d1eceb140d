package Client::Skopeo;
use v5.36;
use parent 'Client';
use JSON::PP qw(decode_json);
use Registry::Clients ();
use Registry::Tools;

sub name ($class)     { return 'skopeo' }
sub programs ($class) { return 'skopeo' }
sub version ($class)  { return run([ 'skopeo', '--version' ])->{out} =~ /version ([\d.]+)/ ? $1 : '?' }

# Its own home, and the policy that there has to be.
sub call ($self, @args) { return Registry::Clients::skopeo(@args) }

sub prepare ($self) {
    return if !$self->place->closed;
    mkdir $self->dir('certs');
    spew($self->dir('certs/ca.crt'), slurp($self->place->authority));
    return;
}

# How it reaches the registry; copy has other names for that, for each of its ends.
sub how ($self, $end = '') {
    return $self->place->closed ? ("--${end}cert-dir", $self->dir('certs')) : "--${end}tls-verify=false";
}

sub there ($self, $which = 'app', $tag = 'v1') { return 'docker://' . $self->ref_to($which, $tag) }

sub login ($self) { return $self->must('login', $self->how, '-u', 'ann', '-p', 'secret', $self->at) }

sub wrong_password ($self) {
    $self->must_not($Client::REFUSED, 'login', $self->how, '-u', 'ann', '-p', 'wrong', $self->at);
    return $self->must_not($Client::REFUSED, 'inspect', $self->how, '--creds', 'ann:wrong', $self->there);
}

sub push ($self) {
    $self->must('copy', $self->how('dest-'), 'oci:' . $self->place->layout('image') . ':v1', $self->there);
    $self->place->serves($self->repo, 'v1', $self->place->digest_of('image'));
    return;
}

sub pull ($self) {
    $self->must('copy', $self->how('src-'), $self->there, 'oci:' . $self->dir('pulled') . ':v1');
    return $self->place->same_blobs('image', $self->dir('pulled'));
}

sub pull_digest ($self) {
    $self->must('copy', $self->how('src-'), 'docker://' . $self->ref_by($self->place->digest_of('image')),
        'oci:' . $self->dir('by-digest') . ':v1');
    return $self->place->same_blobs('image', $self->dir('by-digest'));
}

sub missing ($self) { return $self->must_not($Client::MISSING, 'inspect', $self->how, $self->there('app', 'none')) }

sub tags ($self) {
    my @want = $self->place->many_tags;
    my $out = decode_json($self->must('list-tags', $self->how, 'docker://' . $self->at . '/many/tags'));
    return $self->same_list([ sort @{ $out->{Tags} } ], \@want, 'tags');
}

sub copy ($self) {
    $self->must('copy', $self->how('src-'), $self->how('dest-'), $self->there, $self->there('copy'));
    return $self->place->mounted($self->repo('copy'), $self->place->serves($self->repo('copy'), 'v1', $self->place->digest_of('image')));
}

sub index ($self) {
    $self->must('copy', '--all', $self->how('dest-'), 'oci:' . $self->place->layout('index') . ':v1', $self->there('index'));
    $self->place->serves($self->repo('index'), 'v1', $self->place->digest_of('index'));
    $self->must('copy', '--all', $self->how('src-'), $self->there('index'), 'oci:' . $self->dir('index') . ':v1');
    return $self->place->same_blobs('index', $self->dir('index'));
}

sub delete ($self) {
    my ($repository, $digest) = $self->doomed('delete');
    $self->must('delete', $self->how, $self->there('delete'));
    return $self->deleted($repository, $digest);
}

# ---- with rules ----

sub enter ($self, $user, $password = undef) {
    return $self->call('login', $self->how, '-u', $user, '-p', $self->password_of($user, $password), $self->at);
}

sub leave ($self) { return $self->call('logout', $self->at) }

sub give ($self, $path, $which) {
    return $self->call('copy', $self->how('dest-'), 'oci:' . $self->place->layout($which) . ':v1', 'docker://' . $self->named($path));
}

sub take ($self, $path) {
    return $self->call('copy', $self->how('src-'), 'docker://' . $self->named($path), 'oci:' . $self->fresh . ':v1');
}

sub carry ($self, $from, $to) {
    return $self->call('copy', $self->how('src-'), $self->how('dest-'), 'docker://' . $self->named($from), 'docker://' . $self->named($to));
}

sub drop ($self, $path) { return $self->call('delete', $self->how, 'docker://' . $self->named($path)) }

1;
