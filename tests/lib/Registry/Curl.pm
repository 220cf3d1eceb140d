package Registry::Curl;
use v5.36;

# Requests over TLS, which the connections of Registry::Client can't do: by curl.
#
#   my $client = Registry::Curl->new("https://127.0.0.1:$port", '--cacert', $file);
#   is_status($client->request('GET', '/v1/users', headers => {...}), 200, 'over TLS');

use Registry::Clients qw(curl);
use Registry::Response ();
use Registry::Tools;

# More arguments are curl's.
sub new ($class, $base, @arguments) { return bless { base => $base, arguments => \@arguments, tmp => tempdir() }, $class }

# Options: headers, body (text), chunked.
sub request ($self, $method, $path, %o) {
    my ($tmp, %headers) = ($self->{tmp}, %{ $o{headers} // {} });
    my @body;
    if (defined $o{body}) {
        @body = ('--data-binary', '@' . spew("$tmp/body", $o{body}));
        $headers{'Transfer-Encoding'} = 'chunked' if $o{chunked};
        $headers{'Content-Type'} //= '';    # curl would make one up
    }
    spew("$tmp/$_", '') for 'head', 'answer';
    my $ran = curl(@{ $self->{arguments} }, $method eq 'HEAD' ? '--head' : ('--request', $method),
        '--dump-header', "$tmp/head", '--output', "$tmp/answer", '--header', 'Expect:',
        (map { ('--header', "$_: $headers{$_}") } sort keys %headers), @body, "$self->{base}$path");
    return Registry::Response->failed("curl: $ran->{err}") if $ran->{exit};
    my ($head) = grep { !m{^HTTP/\S+ 1\d\d} } split /\r?\n\r?\n/, slurp("$tmp/head");
    my $response = Registry::Response->parse($head =~ s{^HTTP/2 }{HTTP/1.1 }r) // return Registry::Response->failed("no answer: $head");
    $response->{content} = slurp("$tmp/answer") if $method ne 'HEAD';
    return $response;
}

sub get ($self, $path, %o)  { return $self->request('GET',  $path, %o) }
sub head ($self, $path, %o) { return $self->request('HEAD', $path, %o) }
sub put ($self, $path, %o)  { return $self->request('PUT',  $path, %o) }
sub post ($self, $path, %o) { return $self->request('POST', $path, %o) }

1;
