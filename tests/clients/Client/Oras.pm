package Client::Oras;
use v5.36;
use parent 'Client';
use JSON::PP qw(decode_json);
use Registry::Tools;

sub name ($class)     { return 'oras' }
sub programs ($class) { return 'oras' }
sub module ($class)   { return 'oras.land/oras/cmd/oras@v1.3.6' }

# How it reaches the registry; cp has other names for that, for each of its ends.
sub how ($self, $end = '') {
    return $self->place->closed ? ("--${end}ca-file", $self->place->authority) : "--${end}plain-http";
}

sub login ($self) { return $self->must('login', $self->how, '-u', 'ann', '-p', 'secret', $self->at) }

sub wrong_password ($self) {
    return $self->must_not($Client::REFUSED, 'login', $self->how, '-u', 'ann', '-p', 'wrong', $self->at);
}

sub push ($self) {
    $self->must('cp', $self->how('to-'), '--from-oci-layout', $self->place->layout('image') . ':v1', $self->ref_to);
    $self->place->serves($self->repo, 'v1', $self->place->digest_of('image'));
    return;
}

sub pull ($self) {
    $self->must('cp', $self->how('from-'), '--to-oci-layout', $self->ref_to, $self->dir('pulled') . ':v1');
    return $self->place->same_blobs('image', $self->dir('pulled'));
}

sub pull_digest ($self) {
    $self->must('cp', $self->how('from-'), '--to-oci-layout', $self->ref_by($self->place->digest_of('image')),
        $self->dir('by-digest') . ':v1');
    return $self->place->same_blobs('image', $self->dir('by-digest'));
}

sub missing ($self) { return $self->must_not($Client::MISSING, 'pull', $self->how, $self->ref_to('app', 'none')) }

sub blob ($self) {
    my $digest = file_digest($self->place->file);
    $self->must('blob', 'push', $self->how, $self->at . '/' . $self->repo, $self->place->file);
    $self->must('blob', 'fetch', $self->how, '--output', $self->dir('blob'), $self->ref_by($digest));
    return $self->same(file_digest($self->dir('blob')), $digest, 'the blob');
}

sub tags ($self) {
    my @want = $self->place->many_tags;
    my $out = $self->must('repo', 'tags', $self->how, $self->at . '/many/tags');
    return $self->same_list([ sort split /\n/, $out ], \@want, 'tags');
}

sub catalog ($self) {
    $self->place->many_tags;
    return $self->includes([ split /\n/, $self->must('repo', 'ls', $self->how, $self->at) ], 'many/tags', 'repositories');
}

sub copy ($self) {
    $self->must('cp', $self->how('from-'), $self->how('to-'), $self->ref_to, $self->ref_to('copy'));
    return $self->place->mounted($self->repo('copy'), $self->place->serves($self->repo('copy'), 'v1', $self->place->digest_of('image')));
}

sub index ($self) {
    $self->must('cp', $self->how('to-'), '--from-oci-layout', $self->place->layout('index') . ':v1', $self->ref_to('index'));
    my $index = $self->place->serves($self->repo('index'), 'v1', $self->place->digest_of('index'));
    $self->must('cp', $self->how('from-'), '--to-oci-layout', $self->ref_to('index'), $self->dir('index') . ':v1');
    $self->place->same_blobs('index', $self->dir('index'));
    $self->must('manifest', 'index', 'create', $self->how, $self->ref_to('index', 'made'),
        map { $_->{digest} } @{ $index->{manifests} });
    $self->place->serves($self->repo('index'), 'made', $self->place->digest_at($self->repo('index'), 'made'));
    return;
}

sub artifact ($self) {
    my $file = slurp($self->place->file);
    spew($self->dir('file.txt'), $file);
    $self->must('push', $self->how, '--artifact-type', 'text/x-thing', $self->ref_to('thing'), 'file.txt:text/plain');
    my $manifest = $self->place->serves($self->repo('thing'), 'v1', $self->place->digest_at($self->repo('thing'), 'v1'));
    $self->same($self->place->only_layer($self->repo('thing'), $manifest), $file, 'the layer');
    $self->must('pull', $self->how, '--output', $self->dir('thing'), $self->ref_to('thing'));
    return $self->same(slurp($self->dir('thing/file.txt')), $file, 'the file');
}

sub subject ($self) {
    my $image = $self->place->put_layout($self->repo('subject'), 'small');
    for my $type ('text/x-sbom', 'text/x-note') {
        spew($self->dir('note.txt'), "$type\n");
        $self->must('attach', $self->how, '--artifact-type', $type, $self->ref_to('subject'), 'note.txt:text/plain');
    }
    my $there = $self->referrers_of($self->repo('subject'), $image);
    $self->same_list([ sort map { $_->{artifactType} } values %$there ], [ 'text/x-note', 'text/x-sbom' ], 'referrers');
    $self->place->serves($self->repo('subject'), $_) for keys %$there;
    # With our answer to the push it needs no tag beside them.
    return $self->place->lacks($self->repo('subject') . '/manifests/' . $image =~ s/:/-/r);
}

sub _discovered ($self, @how) {
    my $out = decode_json($self->must('discover', $self->how, '--format', 'json', @how, $self->ref_to('subject')));
    return [ sort map { $_->{digest} } @{ $out->{referrers} // $out->{manifests} } ];
}

sub referrers ($self) {
    my $there = $self->referrers_of($self->repo('subject'), $self->place->digest_of('small'));
    die "nothing to list\n" if keys %$there != 2;
    $self->same_list($self->_discovered, [ sort keys %$there ], 'all');
    my @notes = grep { $there->{$_}{artifactType} eq 'text/x-note' } keys %$there;
    return $self->same_list($self->_discovered('--artifact-type', 'text/x-note'), \@notes, 'those of a type');
}

sub cache ($self) {
    my $cache = $self->place->cache;
    for my $part (@{ $cache->{parts} }) {
        $self->must('blob', 'push', $self->how, $self->at . '/' . $self->repo('cache'), spew($self->dir('part'), $part));
    }
    $self->must('manifest', 'push', $self->how, $self->ref_to('cache'), spew($self->dir('index.json'), $cache->{index}));
    $self->place->serves($self->repo('cache'), 'v1', digest($cache->{index}));
    return;
}

sub delete ($self) {
    my ($repository, $digest) = $self->doomed('delete');
    $self->must('manifest', 'delete', $self->how, '--force', $self->ref_by($digest, 'delete'));
    return $self->deleted($repository, $digest);
}

sub delete_blob ($self) {
    my $digest = file_digest($self->place->file);
    $self->must('blob', 'push', $self->how, $self->at . '/' . $self->repo('blob'), $self->place->file);
    $self->must('blob', 'delete', $self->how, '--force', $self->ref_by($digest, 'blob'));
    return $self->place->lacks($self->repo('blob') . "/blobs/$digest");
}

# ---- with rules ----

sub enter ($self, $user, $password = undef) {
    return $self->call('login', $self->how, '-u', $user, '-p', $self->password_of($user, $password), $self->at);
}

sub leave ($self) { return $self->call('logout', $self->at) }

sub give ($self, $path, $which) {
    return $self->call('cp', $self->how('to-'), '--from-oci-layout', $self->place->layout($which) . ':v1', $self->named($path));
}

sub take ($self, $path) { return $self->call('cp', $self->how('from-'), '--to-oci-layout', $self->named($path), $self->fresh . ':v1') }

sub carry ($self, $from, $to) {
    return $self->call('cp', $self->how('from-'), $self->how('to-'), $self->named($from), $self->named($to));
}

# With all tags of the manifest.
sub drop ($self, $path) { return $self->call('manifest', 'delete', $self->how, '--force', $self->named($path)) }

sub lists ($self) { return $self->call('repo', 'ls', $self->how, $self->at) }

1;
