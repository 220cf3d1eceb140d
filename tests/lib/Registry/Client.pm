package Registry::Client;
use v5.36;

# Somebody who speaks to a registry: plain requests, and what docker does in a push.

use JSON::PP ();
use MIME::Base64 qw(encode_base64);
use Registry::Connection ();
use Registry::Response   ();
use Registry::Tools;
use Time::HiRes qw(time);

our %TYPE = (
    manifest        => 'application/vnd.oci.image.manifest.v1+json',
    index           => 'application/vnd.oci.image.index.v1+json',
    docker_manifest => 'application/vnd.docker.distribution.manifest.v2+json',
    docker_list     => 'application/vnd.docker.distribution.manifest.list.v2+json',
    config          => 'application/vnd.oci.image.config.v1+json',
    layer           => 'application/vnd.oci.image.layer.v1.tar',
    layer_gzip      => 'application/vnd.oci.image.layer.v1.tar+gzip',
    docker_config   => 'application/vnd.docker.container.image.v1+json',
    docker_layer    => 'application/vnd.docker.image.rootfs.diff.tar.gzip',
);

# Options: port; host (127.0.0.1), user ("name:password"), timeout (30 s for each step).
sub new ($class, %o) { return bless { host => '127.0.0.1', timeout => 30, %o }, $class }

sub host ($self) { return $self->{host} }
sub port ($self) { return $self->{port} }

# The same registry with other credentials, or with another value of any option.
sub with ($self, %o) {
    return Registry::Client->new(host => $self->host, port => $self->port, timeout => $self->{timeout}, %o);
}

sub connect ($self) { return Registry::Connection->open($self->host, $self->port, $self->{timeout}) }

# Bytes as they are; the one answer to them.
sub raw ($self, $bytes, $method = 'GET') {
    my $connection = $self->connect // return Registry::Response->failed('no connection');
    $connection->send($bytes);
    my $response = $connection->response($method);
    $connection->close;
    return $response;
}

# Begins a request with a large body, which doesn't come: returns when nginx asks for it. Only then is it sure that the
# request counts among those of this address. Options: headers.
sub hold ($self, $method, $path, %o) {
    my $connection = $self->connect // die "no connection\n";
    my %headers    = ('Content-Length' => 100_000, Expect => '100-continue', %{ $o{headers} // {} });
    $connection->send($self->head_of($method, $path, headers => \%headers));
    my $status = $connection->response($method, once => 1)->status;
    die "$method $path isn't held: $status\n" if $status != 100;
    return $connection;
}

# A request's head. Options: headers ({ name => value or [values] }), keep (the connection stays).
sub head_of ($self, $method, $path, %o) {
    my %headers = (Host => $self->host . ':' . $self->port, %{ $o{headers} // {} });
    $headers{Connection}    //= 'close' if !$o{keep};
    $headers{Authorization} //= 'Basic ' . encode_base64($self->{user}, '') if defined $self->{user};
    my $head = "$method $path HTTP/1.1\r\n";
    for my $name (sort keys %headers) {
        $head .= "$name: $_\r\n" for ref $headers{$name} ? @{ $headers{$name} } : $headers{$name};
    }
    return "$head\r\n";
}

# Options: headers; body (text, or a sub that returns pieces and at the end undef); chunked (in
# chunks of that size, 64 KiB for 1; a sub without length always is); expect (100-continue); length (of a
# sub's body); to (sub that gets the answer's body); on (a connection that stays open).
sub request ($self, $method, $path, %o) {
    my %headers = %{ $o{headers} // {} };
    my $body    = $o{body};
    my $length  = ref $body ? $o{length} : defined $body ? length $body : undef;
    my $chunked = $o{chunked} || (ref $body && !defined $length);
    $headers{'Transfer-Encoding'} = 'chunked'      if $chunked;
    $headers{'Content-Length'}    = $length        if defined $length && !$chunked;
    $headers{Expect}              = '100-continue' if $o{expect};

    my $connection = $o{on} // $self->connect // return Registry::Response->failed('no connection');
    my $sent = $connection->send($self->head_of($method, $path, headers => \%headers, keep => !!$o{on}));
    my $early;
    if ($sent && $o{expect}) {
        $early = $connection->response($method, once => 1);
        $sent  = 0 if $early->status != 100;
    }
    $self->_send_body($connection, $body, $chunked) if $sent && defined $body;
    my $response = $early && $early->status != 100 ? $early : $connection->response($method, body => $o{to});
    $response->{continued} = 1 if $early && $early->status == 100;
    $connection->close         if !$o{on};
    return $response;
}

sub _send_body ($self, $connection, $body, $chunked) {
    my $size = $chunked && $chunked > 1 ? $chunked : 1 << 16;
    my $at   = 0;
    my $next = ref $body ? $body : sub {
        return undef if $at >= length $body;
        my $piece = substr $body, $at, $chunked ? $size : 1 << 22;
        $at += length $piece;
        return $piece;
    };
    while (defined(my $piece = $next->())) {
        return if !($chunked ? $connection->send_chunk($piece) : $connection->send($piece));
    }
    $connection->send_chunk('') if $chunked;
    return;
}

sub get ($self, $path, %o)    { return $self->request('GET',    $path, %o) }
sub head ($self, $path, %o)   { return $self->request('HEAD',   $path, %o) }
sub put ($self, $path, %o)    { return $self->request('PUT',    $path, %o) }
sub post ($self, $path, %o)   { return $self->request('POST',   $path, %o) }
sub patch ($self, $path, %o)  { return $self->request('PATCH',  $path, %o) }
sub delete ($self, $path, %o) { return $self->request('DELETE', $path, %o) }

# ---- uploads ----

# The path of a new upload, or undef.
sub start_upload ($self, $repository) {
    my $response = $self->post("/v2/$repository/blobs/uploads/", body => '');
    return $response->status == 202 ? $self->place_of($response) : undef;
}

# The path of an answer's Location.
sub place_of ($self, $response) { return ($response->header('Location') // '') =~ s{^https?://[^/]+}{}r }

sub with_digest ($self, $place, $digest) { return $place . ($place =~ /\?/ ? '&' : '?') . "digest=$digest" }

# Pushes a blob in one of the ways that clients have, and returns the last answer; it is the first
# that isn't as it should be. Ways: patch (docker: PATCH in chunks, empty PUT), put (containerd: all in the PUT), post
# (all in the POST). body as for request, with digest.
sub push_blob ($self, $repository, $body, %o) {
    my $way    = $o{way}    // 'patch';
    my $digest = $o{digest} // digest($body);
    my %body   = (body => $body, chunked => $o{chunked}, length => $o{length},
        headers => { 'Content-Type' => 'application/octet-stream' });
    return $self->post("/v2/$repository/blobs/uploads/?digest=$digest", %body) if $way eq 'post';

    my $begun = $self->post("/v2/$repository/blobs/uploads/", body => '');
    return $begun if $begun->status != 202;
    my $place = $self->place_of($begun);
    return $self->put($self->with_digest($place, $digest), %body) if $way eq 'put';

    my $patched = $self->patch($place, %body, chunked => $o{chunked} // 1);
    return $patched if $patched->status != 202;
    return $self->put($self->with_digest($self->place_of($patched), $digest), body => '');
}

# ---- manifests and images ----

sub descriptor ($self, $type, $bytes) {
    return { mediaType => $TYPE{$type} // $type, digest => digest($bytes), size => length $bytes };
}

# The bytes of an image's configuration and manifest. Options: kind (oci or docker), note (makes it
# different from others of the same layers).
sub image_of ($self, $layers, %o) {
    my $docker = ($o{kind} // 'oci') eq 'docker';
    my $config = json_of({
        architecture => 'amd64', os => 'linux', config => { Labels => { note => $o{note} // '' } },
        rootfs => { type => 'layers', diff_ids => [ map { digest($_) } @$layers ] },
    });
    my $manifest = json_of({
        schemaVersion => 2,
        mediaType     => $docker ? $TYPE{docker_manifest} : $TYPE{manifest},
        config        => $self->descriptor($docker ? 'docker_config' : 'config', $config),
        layers        => [ map { $self->descriptor($docker ? 'docker_layer' : 'layer', $_) } @$layers ],
    });
    return ($config, $manifest);
}

# The type that a manifest names.
sub type_of ($self, $manifest) {
    my $json = eval { JSON::PP->new->decode($manifest) };
    return (ref $json eq 'HASH' ? $json->{mediaType} : undef) // $TYPE{manifest};
}

sub put_manifest ($self, $repository, $reference, $manifest, $type = $self->type_of($manifest)) {
    return $self->put("/v2/$repository/manifests/$reference",
        body => $manifest, headers => { 'Content-Type' => $type });
}

# The parts of a small image, and its manifest, without a tag; see push_tags.
sub push_parts ($self, $repository) {
    my $layer = random_bytes(500);
    my ($config, $manifest) = $self->image_of([$layer]);
    $self->push_blob($repository, $_) for $layer, $config;
    return ($config, $manifest);
}

# Puts a manifest under many tags, one after the other. The longest time that one took; undef when
# one failed.
sub push_tags ($self, $repository, $manifest, @tags) {
    my $connection = $self->connect;
    my $slowest    = 0;
    for my $tag (@tags) {
        my $begin    = time;
        my $response = $self->put("/v2/$repository/manifests/$tag", body => $manifest, on => $connection,
            headers => { 'Content-Type' => $self->type_of($manifest) });
        return undef if $response->status != 201;
        $slowest = time - $begin if time - $begin > $slowest;
    }
    return $slowest;
}

# All of an image as docker pushes it (a blob that is there isn't sent again). Returns the last
# answer; 201 when the image is there. Options as image_of; acknowledged (sub that is called with
# the digest of each blob and manifest that a 201 was answered for), way.
sub push_image ($self, $repository, $tag, $layers, %o) {
    my ($config, $manifest) = $self->image_of($layers, %o);
    my $told = $o{acknowledged} // sub ($digest) { };
    for my $bytes (@$layers, $config) {
        my $digest = digest($bytes);
        my $there  = $self->head("/v2/$repository/blobs/$digest");
        next          if $there->status == 200;
        return $there if $there->status != 404;
        my $pushed = $self->push_blob($repository, $bytes, digest => $digest, way => $o{way} // 'patch');
        return $pushed if $pushed->status != 201;
        $told->($digest);
    }
    my $response = $self->put_manifest($repository, $tag, $manifest);
    $told->(digest($manifest)) if $response->status == 201;
    return $response;
}

1;
