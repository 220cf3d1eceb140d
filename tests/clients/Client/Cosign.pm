package Client::Cosign;
use v5.36;
use parent 'Client';
use Registry::Tools;

# It signs with a key of its own, and asks nobody on the internet.

sub name ($class)     { return 'cosign' }
sub programs ($class) { return 'cosign' }
sub module ($class)   { return 'github.com/sigstore/cosign/v3/cmd/cosign@v3.1.3' }

my @SIGN   = ('--yes', '--key', 'cosign.key', '--use-signing-config=false', '--tlog-upload=false');
my @VERIFY = ('--insecure-ignore-tlog=true', '--key');

# 0.0.0.0: as for crane, whose library it has.
sub prepare ($self) {
    $self->{at} = '0.0.0.0:' . $self->place->port if $self->place->closed;
    $self->{env}{COSIGN_PASSWORD} = 'a word';
    $self->must('generate-key-pair');
    $self->must('generate-key-pair', '--output-key-prefix', 'other');
    return;
}

sub login ($self) {
    $self->must_not($Client::REFUSED, 'tree', $self->ref_to);
    return $self->must('login', '-u', 'ann', '-p', 'secret', $self->at);
}

# As crane's, its login asks nobody.
sub wrong_password ($self) {
    local $self->{env}{DOCKER_CONFIG} = $self->dir('wrong');
    $self->must('login', '-u', 'ann', '-p', 'wrong', $self->at);
    return $self->must_not($Client::REFUSED, 'tree', $self->ref_to);
}

# What it has saved it can load, to another repository.
sub push ($self) {
    my $digest = $self->place->put_layout($self->repo, 'image');
    $self->must('save', '--dir', $self->dir('saved'), $self->ref_to);
    $self->must('load', '--dir', $self->dir('saved'), $self->ref_to('loaded'));
    $self->place->serves($self->repo('loaded'), 'v1', $digest);
    return;
}

sub pull ($self) {
    $self->must('save', '--dir', $self->dir('pulled'), $self->ref_to('loaded'));
    return $self->place->same_blobs('image', $self->dir('pulled'));
}

sub pull_digest ($self) {
    $self->must('save', '--dir', $self->dir('by-digest'), $self->ref_by($self->place->digest_of('image'), 'loaded'));
    return $self->place->same_blobs('image', $self->dir('by-digest'));
}

sub missing ($self) { return $self->must_not($Client::MISSING, 'save', '--dir', $self->dir('none'), $self->ref_to('app', 'none')) }

sub copy ($self) {
    $self->must('copy', $self->ref_to, $self->ref_to('copy'));
    return $self->place->mounted($self->repo('copy'), $self->place->serves($self->repo('copy'), 'v1', $self->place->digest_of('image')));
}

sub artifact ($self) {
    my $file = spew($self->dir('thing.txt'), slurp($self->place->file));
    $self->must('upload', 'blob', '--ct', 'text/plain', '-f', $file, $self->ref_to('thing'));
    my $manifest = $self->place->serves($self->repo('thing'), 'v1', $self->place->digest_at($self->repo('thing'), 'v1'));
    return $self->same($self->place->only_layer($self->repo('thing'), $manifest), slurp($file), 'the layer');
}

# An attestation refers to the image.
sub subject ($self) {
    my $image = $self->place->put_layout($self->repo('subject'), 'small');
    spew($self->dir('note.json'), '{"note": "a test"}');
    $self->must('attest', @SIGN, '--predicate', $self->dir('note.json'), $self->ref_by($image, 'subject'));
    my $there = $self->referrers_of($self->repo('subject'), $image);
    die keys(%$there) . " referrers, not one\n" if keys %$there != 1;
    $self->place->serves($self->repo('subject'), $_) for keys %$there;
    $self->must('verify-attestation', @VERIFY, 'cosign.pub', $self->ref_to('subject'));
    return $self->place->lacks($self->repo('subject') . '/manifests/' . $image =~ s/:/-/r);
}

sub referrers ($self) {
    my ($digest) = keys %{ $self->referrers_of($self->repo('subject'), $self->place->digest_of('small')) };
    my $tree = $self->must('tree', $self->ref_to('subject'));
    die "it isn't in: $tree\n" if index($tree, $digest // 'nothing') < 0;
    return;
}

# In both forms: as what refers to the image, and behind a tag, as it was before.
sub sign ($self) {
    my $image = $self->place->put_layout($self->repo('sign'), 'small');
    my $which = $self->ref_by($image, 'sign');
    $self->must_not(qr/no signatures/i, 'verify', @VERIFY, 'cosign.pub', $which);
    $self->must('sign', @SIGN, $which);
    $self->must('verify', @VERIFY, 'cosign.pub', $which);
    $self->must_not(qr/signature/i, 'verify', @VERIFY, 'other.pub', $which);
    my $there = $self->referrers_of($self->repo('sign'), $image);
    die keys(%$there) . " referrers, not one\n" if keys %$there != 1;

    $self->must('sign', @SIGN, '--new-bundle-format=false', $which);
    my $tag = ($image =~ s/:/-/r) . '.sig';
    $self->place->serves($self->repo('sign'), $tag, $self->place->digest_at($self->repo('sign'), $tag));
    return $self->must('verify', @VERIFY, 'cosign.pub', '--new-bundle-format=false', $which);
}

# It deletes signatures, those behind a tag by the tag, the others by their digests.
sub _cleaned ($self) {
    my $image = $self->place->digest_of('small');
    if (!$self->{tag}) {
        $self->{tag}    = ($image =~ s/:/-/r) . '.sig';
        $self->{signed} = [ keys %{ $self->referrers_of($self->repo('sign'), $image) } ];
        $self->place->digest_at($self->repo('sign'), $self->{tag});
        $self->must('clean', '--type', 'all', '--force', $self->ref_to('sign'));
    }
    return $image;
}

sub untag ($self) {
    $self->_cleaned;
    return $self->place->lacks($self->repo('sign') . "/manifests/$self->{tag}");
}

sub delete ($self) {
    my $image = $self->_cleaned;
    die "nothing was signed\n" if !@{ $self->{signed} };
    $self->place->lacks($self->repo('sign') . "/manifests/$_") for @{ $self->{signed} };
    $self->place->serves($self->repo('sign'), 'v1', $image);
    return;
}

# ---- with rules ----

# It loads only what it has saved.
sub _saved ($self, $which) {
    return $self->{"saved-$which"} //= do {
        my $repository = 'public/source/' . $self->place->label;
        $self->place->put_layout($repository, $which);
        my $dir = $self->fresh;
        $self->must('save', '--dir', $dir, $self->at . "/$repository\@" . $self->place->digest_of($which));
        $dir;
    };
}

sub enter ($self, $user, $password = undef) {
    return $self->call('login', '-u', $user, '-p', $self->password_of($user, $password), $self->at);
}

# It has no logout.
sub leave ($self) { return unlink $self->dir('.docker/config.json') }

sub give ($self, $path, $which) { return $self->call('load', '--dir', $self->_saved($which), $self->named($path)) }

sub take ($self, $path) { return $self->call('save', '--dir', $self->fresh, $self->named($path)) }

sub carry ($self, $from, $to) { return $self->call('copy', $self->named($from), $self->named($to)) }

1;
