package Place;
use v5.36;

# One registry for the clients to try, and what can be said of it from outside: what it serves is
# fetched again by a connection of our own, over plain HTTP, and each byte of it is hashed. All
# checks die with the reason.

use JSON::PP qw(decode_json);
use Registry ();
use Registry::Images;
use Registry::Tools;

my $TAGS = 1100;    # more than a page has

# The images that are pushed; made once.
sub images ($class) {
    state $images = do {
        my $tmp = tempdir();
        my %is = (dir => $tmp);
        $is{image} = make_layout("$tmp/image", 'v1', 2_000_000, 300_000, 1000);
        $is{small} = make_layout("$tmp/small", 'v1', 2000);
        $is{index} = make_layout_index("$tmp/index", 'v1', 50_000, 1000);
        spew("$tmp/file.txt", random_bytes(100_000));
        \%is;
    };
    return $images;
}

# The path of one of the layouts: image, small, index; and the digest behind its tag v1.
sub layout ($self, $which)    { return Place->images->{dir} . "/$which" }
sub digest_of ($self, $which) { return Place->images->{$which} }

# Some file.
sub file ($self) { return Place->images->{dir} . '/file.txt' }

# closed: over TLS, with a certificate that is known to nobody, and a user; else all without.
sub new ($class, $closed) {
    my @args = ('--log-level', 'debug');
    my $self = bless { closed => $closed }, $class;
    if (!$closed) {
        $self->{registry} = Registry->start(args => \@args);
        $self->{port}     = $self->{registry}->port;
        return $self;
    }
    my $tmp       = tempdir();
    my @authority = make_certificate($tmp, 'authority');
    my ($cert, $key) = make_certificate($tmp, 'registry', 1001, @authority);
    push @args, '--tls-port', '0', '--tls-cert', $cert, '--tls-key', $key, '--user', 'ann:secret';
    $self->{registry} = Registry->start(args => \@args, listeners => 2, user => 'ann:secret');
    my @ports = $self->{registry}->ports;
    ($self->{registry}{port}) = grep { Registry::Client->new(port => $_)->get('/healthz')->status == 200 } @ports;
    ($self->{port}) = grep { $_ != $self->{registry}{port} } @ports;
    $self->{authority} = $authority[0];
    return $self;
}

sub closed ($self)    { return $self->{closed} }
sub name ($self)      { return $self->{closed} ? 'HTTPS' : 'HTTP' }
sub port ($self)      { return $self->{port} }
sub authority ($self) { return $self->{authority} }                         # a file; undef for HTTP
sub registry ($self)  { return $self->{registry} }                          # to ask it ourselves
sub url ($self)       { return lc($self->name) . "://127.0.0.1:$self->{port}" }

# ---- what is there ----

sub _blob ($self, $repository, $descriptor) {
    my $got = $self->registry->get("/v2/$repository/blobs/$descriptor->{digest}");
    die "$repository: blob $descriptor->{digest} is " . $got->status . "\n" if $got->status != 200;
    my ($algorithm) = split /:/, $descriptor->{digest};
    die "$repository: blob $descriptor->{digest} has other bytes\n"
        if digest($got->content, $algorithm) ne $descriptor->{digest} || length $got->content != $descriptor->{size};
    return $got->content;
}

# The manifest that a tag or digest names is served, and all that it needs: whole, recursively.
# $digest: what it must be. Returns the manifest.
sub serves ($self, $repository, $reference, $digest = $reference) {
    my $head = $self->registry->head("/v2/$repository/manifests/$reference");
    die "$repository:$reference is " . $head->status . ", not there\n" if $head->status != 200;
    my $is = $head->header('Docker-Content-Digest') // '';
    die "$repository:$reference is $is, not $digest\n" if $is ne $digest;
    my $got = $self->registry->get("/v2/$repository/manifests/$digest");
    my ($algorithm) = split /:/, $digest;
    die "$repository\@$digest has other bytes\n" if digest($got->content, $algorithm) ne $digest;
    my $manifest = decode_json($got->content);
    $self->_blob($repository, $_) for grep { defined && !$_->{urls} } $manifest->{config}, @{ $manifest->{layers} // [] };
    for my $child (@{ $manifest->{manifests} // [] }) {
        if   ($child->{mediaType} =~ /manifest|index/) { $self->serves($repository, $child->{digest}) }
        else                                           { $self->_blob($repository, $child) }
    }
    return $manifest;
}

# The digest behind a tag.
sub digest_at ($self, $repository, $tag) {
    return $self->registry->head("/v2/$repository/manifests/$tag")->header('Docker-Content-Digest')
        // die "$repository:$tag is not there\n";
}

# The bytes of an artifact's only layer.
sub only_layer ($self, $repository, $manifest) {
    die scalar @{ $manifest->{layers} } . " layers, not one\n" if @{ $manifest->{layers} } != 1;
    return $self->_blob($repository, $manifest->{layers}[0]);
}

sub has ($self, $path) { return $self->registry->head("/v2/$path")->status == 200 }

sub lacks ($self, $path) {
    my $status = $self->registry->head("/v2/$path")->status;
    die "$path is $status, not 404\n" if $status != 404;
    return;
}

# All layers of a manifest came to that repository by mounting. (A configuration is sent by some.)
sub mounted ($self, $repository, $manifest) {
    my $path  = qr{path=/v2/\Q$repository\E/blobs/uploads/};
    my $want  = @{ $manifest->{layers} };
    my @there = ();
    my $done  = wait_for(5, sub { (@there = $self->registry->logged(qr/method=POST $path role=2 status=201/)) >= $want });
    my @sent  = $self->registry->logged(qr/method=PATCH $path\S* role=2/);
    die @there . " of $want layers were mounted into $repository, bytes were sent " . @sent . " times\n" if !$done || @sent > 1;
    return;
}

# ---- what we put there ourselves ----

# A layout's blobs and manifests, as they are, and its tag v1.
sub put_layout ($self, $repository, $which) {
    my $dir = $self->layout($which);
    my (@manifests, $top);
    for my $digest (layout_digests($dir)) {
        my $bytes = slurp("$dir/blobs/sha256/" . $digest =~ s/.*://r);
        if (length $bytes < 10_000 && $bytes =~ /"schemaVersion"/) { push @manifests, $bytes }
        else { $self->registry->push_blob($repository, $bytes, way => 'post')->status == 201 or die "a blob for $repository\n" }
    }
    for my $bytes (sort { ($a =~ /"manifests"/) <=> ($b =~ /"manifests"/) } @manifests) {
        my $reference = digest($bytes) eq $self->digest_of($which) ? 'v1' : digest($bytes);
        my $put = $self->registry->put_manifest($repository, $reference, $bytes);
        die "a manifest for $repository: " . $put->content . "\n" if $put->status != 201;
    }
    return $self->digest_of($which);
}

# A repository with more tags than fit into one page; returns them in order.
sub many_tags ($self) {
    return @{ $self->{tags} } if $self->{tags};
    my $digest = $self->put_layout('many/tags', 'small');
    my $bytes  = slurp($self->layout('small') . '/blobs/sha256/' . $digest =~ s/.*://r);
    my @tags   = sort 'v1', map { "t$_" } 1 .. $TAGS;
    my @todo   = @tags;
    while (my @some = splice @todo, 0, 16) {
        my $query = join '&', map { "tag=$_" } @some;
        my $put   = $self->registry->put("/v2/many/tags/manifests/$digest?$query", body => $bytes,
            headers => { 'Content-Type' => $Registry::Client::TYPE{manifest} });
        die 'tags: ' . $put->content . "\n" if $put->status != 201;
    }
    $self->{tags} = \@tags;
    return @tags;
}

# An index whose children are layers, as a builder's cache has it, and its parts: bytes.
sub cache ($self) {
    state $cache = do {
        my @layers = map { random_bytes(20_000) } 1, 2;
        my $config = json_of({ layers => [ map { { blob => digest($_) } } @layers ] });
        my @entries = map { Registry::Client->descriptor('layer_gzip', $_) } @layers;
        push @entries, Registry::Client->descriptor('application/vnd.buildkit.cacheconfig.v0', $config);
        my $index = json_of({ schemaVersion => 2, mediaType => $Registry::Client::TYPE{index}, manifests => \@entries });
        { parts => [ @layers, $config ], index => $index };
    };
    return $cache;
}

# ---- what came back ----

# Every blob of a layout is in another one, with its bytes.
sub same_blobs ($self, $which, $dir) {
    my $from = $self->layout($which);
    for my $digest (layout_digests($from)) {
        my $name = "blobs/sha256/" . $digest =~ s/.*://r;
        die "$digest did not come back\n"             if !-f "$dir/$name";
        die "$digest came back with other bytes\n" if file_digest("$dir/$name") ne $digest;
    }
    return;
}

# What went wrong in the server itself.
sub problems ($self) {
    $self->registry->stop;
    return $self->registry->problems;
}

1;
