package Registry::Checks;
use v5.36;

# Checks of answers, one test each.

use Exporter 'import';
use Registry::Tools;
use Test::More ();

our @EXPORT = qw(is_status is_error is_v1_error is_blob is_tidy works is_refused is_sound contents);

sub _report ($ok, $name, @wrong) {
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $passed = Test::More::ok($ok, $name);
    Test::More::diag(join "\n", @wrong) if !$passed;
    return $passed;
}

# The status, and headers where they are given (texts, or patterns).
sub is_status ($response, $status, $name, %headers) {
    my @wrong;
    push @wrong, "status " . $response->status . ", not $status" if $response->status != $status;
    for my $header (sort keys %headers) {
        my ($is, $want) = ($response->header($header), $headers{$header});
        next if !defined $is && !defined $want;
        next if defined $is && defined $want && (ref $want ? $is =~ $want : $is eq $want);
        push @wrong, "$header: " . ($is // 'missing') . ', not ' . ($want // 'missing');
    }
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return _report(!@wrong, $name, @wrong, @wrong ? $response->describe : ());
}

# $status: one, or several in an array.
sub _common ($response, $status) {
    my @wrong;
    my @wanted = ref $status ? @$status : $status;
    push @wrong, 'status ' . $response->status . ", not @wanted" if !grep { $response->status == $_ } @wanted;
    push @wrong, "Content-Type: " . ($response->header('Content-Type') // 'missing')
        if ($response->header('Content-Type') // '') !~ m{^application/json\b};
    return @wrong;
}

# An error in OCI's form (distribution-spec, "Error Codes"). $code: a text or a pattern.
sub is_error ($response, $status, $code, $name) {
    my @wrong = _common($response, $status);
    push @wrong, "code '" . $response->code . "', not '$code'"
        if ref $code ? $response->code !~ $code : $response->code ne $code;
    push @wrong, 'no message' if !length $response->message;
    # docker takes this very text for its own and repeats a push for 40 s
    push @wrong, "message '" . $response->message . "'" if lc $response->message eq 'authentication required';
    push @wrong, 'no Docker-Distribution-Api-Version'
        if ($response->header('Docker-Distribution-Api-Version') // '') ne 'registry/2.0';
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return _report(!@wrong, $name, @wrong, @wrong ? $response->describe : ());
}

# An error in the old API's form.
sub is_v1_error ($response, $status, $name) {
    my @wrong = _common($response, $status);
    my $json  = $response->json;
    push @wrong, 'not {"error": "…"}' if ref $json ne 'HASH' || !length($json->{error} // '') || exists $json->{errors};
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return _report(!@wrong, $name, @wrong, @wrong ? $response->describe : ());
}

# A repository serves a blob whole. $bytes: the bytes themselves.
sub is_blob ($client, $repository, $bytes, $name) {
    my $digest   = digest($bytes);
    my $response = $client->get("/v2/$repository/blobs/$digest");
    my @wrong;
    push @wrong, "status " . $response->status if $response->status != 200;
    push @wrong, 'other bytes: ' . length($response->content) . ' of ' . length $bytes
        if $response->content ne $bytes;
    push @wrong, 'Docker-Content-Digest: ' . ($response->header('Docker-Content-Digest') // 'missing')
        if ($response->header('Docker-Content-Digest') // '') ne $digest;
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return _report(!@wrong, $name, @wrong, @wrong ? $response->describe : ());
}

# "Nothing is left in uploads/": no regular file 5 s after the last answer.
sub is_tidy ($registry) {
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $tidy = defined wait_for(5, sub { !$registry->files('uploads') });
    return _report($tidy, 'nothing is left in uploads/', $tidy ? () : $registry->files('uploads'));
}

# All tags with what they name, and each blob verified.
sub contents ($client) {
    my %all;
    for my $repository (@{ $client->get('/v2/_catalog')->json->{repositories} }) {
        for my $tag (@{ $client->get("/v2/$repository/tags/list")->json->{tags} }) {
            my $manifest = $client->get("/v2/$repository/manifests/$tag");
            $all{"$repository:$tag"} = $manifest->header('Docker-Content-Digest');
            return { bad => "$repository:$tag: " . $manifest->status } if $manifest->status != 200;
            my $json  = $manifest->json;
            my @blobs = $json->{config} ? map { $_->{digest} } $json->{config}, @{ $json->{layers} } : map { $_->{blobSum} } @{ $json->{fsLayers} };
            for my $digest (@blobs) {
                my $blob = $client->get("/v2/$repository/blobs/$digest");
                return { bad => "$repository:$tag $digest: " . $blob->status } if digest($blob->content) ne $digest;
            }
        }
    }
    return \%all;
}

# The command fsck finds nothing.
sub is_sound ($registry, $name = 'fsck finds nothing') {
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $ran = Registry->try([ 'fsck', '--dir', $registry->dir, '--rate', '0' ], timeout => 120);
    return _report($ran->{exit} == 0 && $ran->{out} =~ /: 0 findings, 0 repaired$/, $name, $ran->{out} . $ran->{err});
}

# A program that was run (Registry::Tools::run) ended well.
sub works ($ran, $name) {
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    return _report($ran->{exit} == 0 && !$ran->{signal}, $name, $ran->{err} . $ran->{out});
}

# It ended with an error, and told why.
sub is_refused ($ran, $pattern, $name) {
    local $Test::Builder::Level = $Test::Builder::Level + 1;
    my $said = $ran->{out} . $ran->{err};
    return _report($ran->{exit} != 0 && scalar($said =~ $pattern), "$name, with a message", "exit $ran->{exit}", $said);
}

1;
