package Client::Regctl;
use v5.36;
use parent 'Client';
use JSON::PP qw(decode_json);
use Registry::Tools;

my $CHUNK = 1_000_000;

sub name ($class)     { return 'regctl' }
sub programs ($class) { return 'regctl' }
sub module ($class)   { return 'github.com/regclient/regclient/cmd/regctl@v0.11.7' }

sub prepare ($self) { return $self->configure('regctl.json') }

sub configure ($self, $file) {
    $self->{env}{REGCTL_CONFIG} = $self->dir($file);
    my $place = $self->place;
    my @how   = $place->closed ? ('--cacert', slurp($place->authority)) : ('--tls', 'disabled');
    # Larger blobs go in chunks.
    $self->must('registry', 'set', $self->at, @how, '--skip-check', '--blob-max', $CHUNK, '--blob-chunk', $CHUNK);
    return;
}

sub with_input ($self, $bytes, @args) {
    return $self->good($self->exec([ $self->find('regctl'), @args ], stdin => $bytes));
}

sub login ($self) { return $self->must('registry', 'login', '-u', 'ann', '-p', 'secret', $self->at) }

# It says so, exits with 0, and keeps it all the same.
sub wrong_password ($self) {
    local $self->{env}{REGCTL_CONFIG};
    $self->configure('wrong.json');
    my $ran = $self->call('registry', 'login', '-u', 'ann', '-p', 'wrong', $self->at);
    die "no word of it: $ran->{out} $ran->{err}\n" if "$ran->{out} $ran->{err}" !~ $Client::REFUSED;
    return $self->must_not($Client::REFUSED, 'repo', 'ls', $self->at);
}

sub push ($self) {
    $self->must('image', 'copy', 'ocidir://' . $self->place->layout('image') . ':v1', $self->ref_to);
    $self->place->serves($self->repo, 'v1', $self->place->digest_of('image'));
    return;
}

sub pull ($self) {
    $self->must('image', 'copy', $self->ref_to, 'ocidir://pulled:v1');
    return $self->place->same_blobs('image', $self->dir('pulled'));
}

sub pull_digest ($self) {
    $self->must('image', 'copy', $self->ref_by($self->place->digest_of('image')), 'ocidir://by-digest:v1');
    return $self->place->same_blobs('image', $self->dir('by-digest'));
}

sub missing ($self) { return $self->must_not($Client::MISSING, 'manifest', 'get', $self->ref_to('app', 'none')) }

sub blob ($self) {
    my $bytes = slurp($self->place->file);
    my $told  = $self->with_input($bytes, 'blob', 'put', $self->at . '/' . $self->repo);
    $self->same($told =~ s/\s+$//r, digest($bytes), 'the digest');
    return $self->same($self->must('blob', 'get', $self->at . '/' . $self->repo, digest($bytes)), $bytes, 'the blob');
}

# In pieces of what the registry advises, the last one smaller.
sub chunks ($self) {
    my $path   = $self->repo('chunks');
    my $begun  = $self->place->registry->post("/v2/$path/blobs/uploads/", body => '');
    my $advice = $begun->header('OCI-Chunk-Min-Length') // 0;
    my $chunk  = $advice > $CHUNK ? $advice : $CHUNK;
    my $bytes  = cheap_bytes(2 * $chunk + 1000);
    $self->with_input($bytes, 'blob', 'put', $self->at . "/$path");
    my $sent;
    wait_for(5, sub { ($sent = $self->place->registry->logged(qr{method=PATCH path=/v2/\Q$path\E/\S* role=2 status=202})) >= 3 });
    die "$sent pieces, not three\n" if $sent != 3;
    my $got = $self->place->registry->get("/v2/$path/blobs/" . digest($bytes));
    return $self->same($got->content, $bytes, 'the blob');
}

sub sha512 ($self) {
    $self->place->put_layout($self->repo('sha512'), 'small');
    $self->must('image', 'mod', $self->ref_to('sha512'), '--digest-algo', 'sha512', '--create', $self->ref_to('sha512', 'v2'));
    my $digest = $self->place->digest_at($self->repo('sha512'), 'v2');
    my $image  = $self->place->serves($self->repo('sha512'), $digest);
    my @other  = grep { !/^sha512:/ } $digest, map { $_->{digest} } $image->{config}, @{ $image->{layers} };
    die "not sha512: @other\n" if @other;
    return;
}

sub tags ($self) {
    my @want = $self->place->many_tags;
    my $out = $self->must('tag', 'ls', $self->at . '/many/tags');
    return $self->same_list([ sort split /\n/, $out ], \@want, 'tags');
}

sub catalog ($self) {
    $self->place->many_tags;
    return $self->includes([ split /\n/, $self->must('repo', 'ls', $self->at) ], 'many/tags', 'repositories');
}

sub copy ($self) {
    $self->must('image', 'copy', $self->ref_to, $self->ref_to('copy'));
    return $self->place->mounted($self->repo('copy'), $self->place->serves($self->repo('copy'), 'v1', $self->place->digest_of('image')));
}

sub index ($self) {
    $self->must('image', 'copy', 'ocidir://' . $self->place->layout('index') . ':v1', $self->ref_to('index'));
    $self->place->serves($self->repo('index'), 'v1', $self->place->digest_of('index'));
    $self->must('image', 'copy', $self->ref_to('index'), 'ocidir://index:v1');
    $self->place->same_blobs('index', $self->dir('index'));
    $self->must('index', 'create', $self->ref_to('index', 'made'), '--ref', $self->ref_to('index'), '--platform', 'linux/arm64');
    $self->place->serves($self->repo('index'), 'made', $self->place->digest_at($self->repo('index'), 'made'));
    return;
}

sub artifact ($self) {
    my $file = slurp($self->place->file);
    $self->with_input($file, 'artifact', 'put', '--artifact-type', 'text/x-thing', $self->ref_to('thing'));
    my $manifest = $self->place->serves($self->repo('thing'), 'v1', $self->place->digest_at($self->repo('thing'), 'v1'));
    $self->same($self->place->only_layer($self->repo('thing'), $manifest), $file, 'the layer');
    return $self->same($self->must('artifact', 'get', $self->ref_to('thing')), $file, 'the file');
}

sub subject ($self) {
    my $image = $self->place->put_layout($self->repo('subject'), 'small');
    for my $type ('text/x-sbom', 'text/x-note') {
        $self->with_input("$type\n", 'artifact', 'put', '--artifact-type', $type, '--subject', $self->ref_to('subject'));
    }
    my $there = $self->referrers_of($self->repo('subject'), $image);
    $self->same_list([ sort map { $_->{artifactType} } values %$there ], [ 'text/x-note', 'text/x-sbom' ], 'referrers');
    $self->place->serves($self->repo('subject'), $_) for keys %$there;
    return $self->place->lacks($self->repo('subject') . '/manifests/' . $image =~ s/:/-/r);
}

sub _listed ($self, @how) {
    my $out = decode_json($self->must('artifact', 'list', '--format', 'body', @how, $self->ref_to('subject')));
    return [ sort map { $_->{digest} } @{ $out->{manifests} } ];
}

sub referrers ($self) {
    my $there = $self->referrers_of($self->repo('subject'), $self->place->digest_of('small'));
    die "nothing to list\n" if keys %$there != 2;
    $self->same_list($self->_listed, [ sort keys %$there ], 'all');
    my @notes = grep { $there->{$_}{artifactType} eq 'text/x-note' } keys %$there;
    return $self->same_list($self->_listed('--filter-artifact-type', 'text/x-note'), \@notes, 'those of a type');
}

sub cache ($self) {
    my $cache = $self->place->cache;
    $self->with_input($_, 'blob', 'put', $self->at . '/' . $self->repo('cache')) for @{ $cache->{parts} };
    $self->with_input($cache->{index}, 'manifest', 'put', '--content-type', $Registry::Client::TYPE{index}, $self->ref_to('cache'));
    $self->place->serves($self->repo('cache'), 'v1', digest($cache->{index}));
    return;
}

sub untag ($self) {
    my ($repository, $digest) = $self->doomed('untag');
    $self->must('tag', 'delete', $self->ref_to('untag'));
    return $self->untagged($repository, $digest);
}

sub delete ($self) {
    my ($repository, $digest) = $self->doomed('delete');
    $self->must('manifest', 'delete', $self->ref_by($digest, 'delete'));
    return $self->deleted($repository, $digest);
}

sub delete_blob ($self) {
    my $bytes = slurp($self->place->file);
    $self->with_input($bytes, 'blob', 'put', $self->at . '/' . $self->repo('blob'));
    $self->must('blob', 'delete', $self->at . '/' . $self->repo('blob'), digest($bytes));
    return $self->place->lacks($self->repo('blob') . '/blobs/' . digest($bytes));
}

# ---- with rules ----

sub enter ($self, $user, $password = undef) {
    return $self->call('registry', 'login', '-u', $user, '-p', $self->password_of($user, $password), $self->at);
}

# It forgets how to reach the registry, too.
sub leave ($self) {
    $self->call('registry', 'logout', $self->at);
    return $self->configure('regctl.json');
}

sub give ($self, $path, $which) {
    return $self->call('image', 'copy', 'ocidir://' . $self->place->layout($which) . ':v1', $self->named($path));
}

sub take ($self, $path) { return $self->call('image', 'copy', $self->named($path), 'ocidir://' . $self->fresh . ':v1') }

sub carry ($self, $from, $to) { return $self->call('image', 'copy', $self->named($from), $self->named($to)) }

sub drop ($self, $path) { return $self->call('tag', 'delete', $self->named($path)) }

sub lists ($self) { return $self->call('repo', 'ls', $self->at) }

1;
