package Client::Curl;
use v5.36;
use parent 'Client';
use JSON::PP qw(decode_json);
use Registry::Images;
use Registry::Tools;

# Each request by hand, as a script would send it; over HTTPS that is HTTP/2.

sub name ($class)     { return 'curl' }
sub programs ($class) { return 'curl' }
sub version ($class)  { return run([ 'curl', '--version' ])->{out} =~ /^curl ([\d.]+)/ ? $1 : '?' }

sub how ($self) { return $self->place->closed ? ('--cacert', $self->place->authority, '-u', 'ann:secret') : () }

# The answer: status, headers (a hash), body.
sub ask ($self, $path, @args) {
    my ($head, $body) = map { $self->dir($_) } 'head', 'body';
    unlink $body;
    my $url = $path =~ m{^/} ? $self->place->url . $path : $path;
    $self->good($self->exec([ 'curl', '-q', '-sS', '--max-time', 60, $self->how, '-D', $head, '-o', $body, @args, $url ]));
    my @heads = split /\r?\n\r?\n/, slurp($head);
    my ($first, @lines) = split /\r?\n/, $heads[-1];
    my ($status) = $first =~ m{^HTTP/\S+ (\d+)};
    return { status => $status, body => slurp($body), map { /^([^:]+):\s*(.*)/ ? (lc $1 => $2) : () } @lines };
}

sub want ($self, $answer, $status, $what) {
    die "$what: $answer->{status} $answer->{body}\n" if $answer->{status} != $status;
    return $answer;
}

sub login ($self) { return $self->want($self->ask('/v2/'), 200, 'the ping') }

sub wrong_password ($self) {
    my $answer = $self->ask('/v2/', '-u', 'ann:wrong');
    $self->want($answer, 401, 'the ping');
    die "no word of it: $answer->{body}\n" if $answer->{body} !~ /wrong user name or password/;
    return;
}

# As docker does it: begin, all in one PATCH without a length, an empty PUT.
sub send_blob ($self, $repository, $file, $digest) {
    my $begun = $self->want($self->ask("/v2/$repository/blobs/uploads/", '-X', 'POST', '-d', ''), 202, 'POST');
    my $sent  = $self->want($self->ask($begun->{location}, '-X', 'PATCH', '-T', $file, '-H', 'Transfer-Encoding: chunked',
        '-H', 'Content-Type: application/octet-stream'), 202, 'PATCH');
    my $place = $sent->{location} . ($sent->{location} =~ /\?/ ? '&' : '?') . "digest=$digest";
    return $self->want($self->ask($place, '-X', 'PUT', '-d', ''), 201, 'PUT');
}

sub send_manifest ($self, $repository, $reference, $file, $type) {
    my $answer = $self->ask("/v2/$repository/manifests/$reference", '-X', 'PUT', '-H', "Content-Type: $type", '--data-binary', "\@$file");
    return $self->want($answer, 201, 'the manifest');
}

sub _send_layout ($self, $repository, $which) {
    my $dir = $self->place->layout($which) . '/blobs/sha256';
    my $top = $self->place->digest_of($which);
    my @manifests;
    for my $digest (layout_digests($self->place->layout($which))) {
        my $file = "$dir/" . $digest =~ s/.*://r;
        if (-s $file < 10_000 && slurp($file) =~ /"schemaVersion"/) { CORE::push @manifests, $digest }
        else                                                         { $self->send_blob($repository, $file, $digest) }
    }
    for my $digest ((grep { $_ ne $top } @manifests), $top) {
        my $file = "$dir/" . $digest =~ s/.*://r;
        my $type = decode_json(slurp($file))->{mediaType};
        $self->send_manifest($repository, $digest eq $top ? 'v1' : $digest, $file, $type);
    }
    $self->place->serves($repository, 'v1', $top);
    return;
}

sub push ($self) { return $self->_send_layout($self->repo, 'image') }

sub index ($self) { return $self->_send_layout($self->repo('index'), 'index') }

sub _fetch ($self, $reference) {
    my $got      = $self->want($self->ask('/v2/' . $self->repo . "/manifests/$reference"), 200, 'the manifest');
    my $manifest = decode_json($got->{body});
    $self->same(digest($got->{body}), $self->place->digest_of('image'), 'the manifest');
    for my $part ($manifest->{config}, @{ $manifest->{layers} }) {
        my $blob = $self->want($self->ask('/v2/' . $self->repo . "/blobs/$part->{digest}"), 200, 'a blob');
        $self->same(digest($blob->{body}), $part->{digest}, 'a blob');
    }
    return;
}

sub pull ($self) { return $self->_fetch('v1') }

# With the colon encoded, as some libraries do.
sub pull_digest ($self) { return $self->_fetch($self->place->digest_of('image') =~ s/:/%3A/r) }

sub missing ($self) {
    my $answer = $self->want($self->ask('/v2/' . $self->repo . '/manifests/none'), 404, 'a tag that is not there');
    return $self->same(decode_json($answer->{body})->{errors}[0]{code}, 'MANIFEST_UNKNOWN', 'the code');
}

sub tags ($self) {
    my @want = $self->place->many_tags;
    my (@seen, $next);
    for ($next = '/v2/many/tags/tags/list'; defined $next;) {
        my $answer = $self->want($self->ask($next), 200, 'the list');
        CORE::push @seen, @{ decode_json($answer->{body})->{tags} };
        $next = ($answer->{link} // '') =~ /<([^>]*)>/ ? $1 : undef;
    }
    return $self->same_list(\@seen, \@want, 'tags');
}

sub catalog ($self) {
    $self->place->many_tags;
    my $answer = $self->want($self->ask('/v2/_catalog?n=100000'), 200, 'the list');
    return $self->includes(decode_json($answer->{body})->{repositories}, 'many/tags', 'repositories');
}

sub copy ($self) {
    my ($from, $to) = ($self->repo, $self->repo('copy'));
    my $manifest = $self->place->serves($from, 'v1', $self->place->digest_of('image'));
    for my $part ($manifest->{config}, @{ $manifest->{layers} }) {
        my $answer = $self->ask("/v2/$to/blobs/uploads/?mount=$part->{digest}&from=$from", '-X', 'POST', '-d', '');
        $self->want($answer, 201, 'mounting');
    }
    my $file = $self->place->layout('image') . '/blobs/sha256/' . $self->place->digest_of('image') =~ s/.*://r;
    $self->send_manifest($to, 'v1', $file, $manifest->{mediaType});
    return $self->place->mounted($to, $self->place->serves($to, 'v1', $self->place->digest_of('image')));
}

# As containerd does it: all in the PUT; then looked at again by its entity tag.
sub blob ($self) {
    my ($file, $digest) = ($self->place->file, file_digest($self->place->file));
    my $begun = $self->want($self->ask('/v2/' . $self->repo . '/blobs/uploads/', '-X', 'POST', '-d', ''), 202, 'POST');
    $self->want($self->ask("$begun->{location}?digest=$digest", '-T', $file), 201, 'PUT');
    my $path = '/v2/' . $self->repo . "/blobs/$digest";
    my $got  = $self->want($self->ask($path), 200, 'GET');
    $self->same(digest($got->{body}), $digest, 'the blob');
    $self->want($self->ask($path, '-H', "If-None-Match: $got->{etag}"), 304, 'GET again');
    my $head = $self->want($self->ask($path, '-I'), 200, 'HEAD');
    return $self->same($head->{'content-length'}, -s $file, 'the length');
}

sub range ($self) {
    my ($file, $digest) = ($self->place->file, file_digest($self->place->file));
    $self->send_blob($self->repo, $file, $digest);
    my $got = $self->want($self->ask('/v2/' . $self->repo . "/blobs/$digest", '-r', '1000-1999'), 206, 'a part');
    $self->same($got->{'content-range'}, 'bytes 1000-1999/' . -s $file, 'Content-Range');
    $self->same($got->{body}, substr(slurp($file), 1000, 1000), 'the part');
    # and the rest of a download that was cut off
    spew($self->dir('half'), substr slurp($file), 0, 60_000);
    $self->good($self->exec([ 'curl', '-q', '-sS', '-C', '-', $self->how, '-o', $self->dir('half'),
        $self->place->url . '/v2/' . $self->repo . "/blobs/$digest" ]));
    return $self->same(file_digest($self->dir('half')), $digest, 'the whole');
}

sub chunks ($self) {
    my $bytes = slurp($self->place->file);
    my $begun = $self->want($self->ask('/v2/' . $self->repo('chunks') . '/blobs/uploads/', '-X', 'POST', '-d', ''), 202, 'POST');
    my $at    = 0;
    my $place = $begun->{location};
    while ($at < length $bytes) {
        my $piece  = substr $bytes, $at, 30_000;
        my $end    = $at + length($piece) - 1;
        my $answer = $self->ask($place, '-X', 'PATCH', '--data-binary', '@' . spew($self->dir('piece'), $piece),
            '-H', 'Content-Type: application/octet-stream', '-H', "Content-Range: $at-$end");
        $self->want($answer, 202, 'PATCH');
        $self->same($answer->{range}, "0-$end", 'Range');
        ($place, $at) = ($answer->{location}, $end + 1);
    }
    $self->want($self->ask("$place?digest=" . digest($bytes), '-X', 'PUT', '-d', ''), 201, 'PUT');
    my $got = $self->place->registry->get('/v2/' . $self->repo('chunks') . '/blobs/' . digest($bytes));
    return $self->same($got->content, $bytes, 'the blob');
}

sub sha512 ($self) {
    my $digest = digest(slurp($self->place->file), 'sha512');
    $self->send_blob($self->repo, $self->place->file, $digest);
    my $got = $self->want($self->ask('/v2/' . $self->repo . "/blobs/$digest"), 200, 'GET');
    return $self->same(digest($got->{body}, 'sha512'), $digest, 'the blob');
}

sub cache ($self) {
    my $cache = $self->place->cache;
    $self->send_blob($self->repo('cache'), spew($self->dir('part'), $_), digest($_)) for @{ $cache->{parts} };
    $self->send_manifest($self->repo('cache'), 'v1', spew($self->dir('index.json'), $cache->{index}), $Registry::Client::TYPE{index});
    $self->place->serves($self->repo('cache'), 'v1', digest($cache->{index}));
    return;
}

sub _artifact ($self, $which, $subject = undef) {
    my $file  = $self->place->file;
    my $type  = $Registry::Client::TYPE{manifest};
    my $empty = spew($self->dir('empty'), '{}');
    my $bytes = slurp($file);
    my $manifest = json_of({
        schemaVersion => 2, mediaType => $type, artifactType => 'text/x-thing',
        config        => Registry::Client->descriptor('application/vnd.oci.empty.v1+json', '{}'),
        layers        => [ Registry::Client->descriptor('text/plain', $bytes) ],
        $subject ? (subject => $subject) : (),
    });
    $self->send_blob($self->repo($which), $_, file_digest($_)) for $empty, $file;
    my $answer = $self->send_manifest($self->repo($which), digest($manifest), spew($self->dir('manifest'), $manifest), $type);
    my $there = $self->place->serves($self->repo($which), digest($manifest));
    $self->same($self->place->only_layer($self->repo($which), $there), $bytes, 'the layer');
    return ($answer, digest($manifest));
}

sub artifact ($self) { return $self->_artifact('thing') }

sub subject ($self) {
    my $image = $self->place->put_layout($self->repo('subject'), 'small');
    my %subject = (mediaType => $Registry::Client::TYPE{manifest}, digest => $image, size => 2);
    my ($answer, $digest) = $self->_artifact('subject', \%subject);
    $self->same($answer->{'oci-subject'} // '', $image, 'OCI-Subject');
    return $self->same_list([ keys %{ $self->referrers_of($self->repo('subject'), $image) } ], [$digest], 'referrers');
}

sub referrers ($self) {
    my $there = $self->referrers_of($self->repo('subject'), $self->place->digest_of('small'));
    die "nothing to list\n" if keys %$there != 1;
    my $path   = '/v2/' . $self->repo('subject') . '/referrers/' . $self->place->digest_of('small');
    my $answer = $self->want($self->ask("$path?artifactType=text/x-thing"), 200, 'the list');
    $self->same($answer->{'oci-filters-applied'} // '', 'artifactType', 'OCI-Filters-Applied');
    $self->same_list([ map { $_->{digest} } @{ decode_json($answer->{body})->{manifests} } ], [ keys %$there ], 'those of a type');
    my $none = $self->want($self->ask("$path?artifactType=text/x-other"), 200, 'the list');
    return $self->same_list(decode_json($none->{body})->{manifests}, [], 'those of another type');
}

sub untag ($self) {
    my ($repository, $digest) = $self->doomed('untag');
    $self->want($self->ask("/v2/$repository/manifests/v1", '-X', 'DELETE'), 202, 'DELETE');
    return $self->untagged($repository, $digest);
}

sub delete ($self) {
    my ($repository, $digest) = $self->doomed('delete');
    $self->want($self->ask("/v2/$repository/manifests/$digest", '-X', 'DELETE'), 202, 'DELETE');
    return $self->deleted($repository, $digest);
}

sub delete_blob ($self) {
    my $digest = file_digest($self->place->file);
    $self->send_blob($self->repo('blob'), $self->place->file, $digest);
    $self->want($self->ask('/v2/' . $self->repo('blob') . "/blobs/$digest", '-X', 'DELETE'), 202, 'DELETE');
    return $self->place->lacks($self->repo('blob') . "/blobs/$digest");
}

1;
