package Registry::Response;
use v5.36;

# An HTTP answer.

use JSON::PP ();

# The status line and the header lines; undef when that's no HTTP.
sub parse ($class, $text) {
    my ($first, @lines) = split /\r?\n/, $text;
    my ($status) = ($first // '') =~ m{^HTTP/1\.[01] (\d{3})\b} or return undef;
    my %headers;
    for my $line (@lines) {
        my ($name, $value) = $line =~ /^([^:\s]+):\s*(.*?)\s*$/ or return undef;
        push @{ $headers{ lc $name } }, $value;
    }
    return bless { status => $status, headers => \%headers, content => '', continued => 0 }, $class;
}

# No answer at all.
sub failed ($class, $why) {
    chomp $why;
    return bless { status => 599, headers => {}, content => $why, continued => 0 }, $class;
}

sub status ($self)    { return $self->{status} }
sub content ($self)   { return $self->{content} }
sub continued ($self) { return $self->{continued} }

# One value; those of repeated headers joined by ", ", as RFC 9110 has it.
sub header ($self, $name) {
    my $values = $self->{headers}{ lc $name } // return undef;
    return join ', ', @$values;
}

sub json ($self) { return eval { JSON::PP->new->utf8->allow_nonref->decode($self->{content}) } }

# The first error of an answer in OCI's form.
sub _error ($self) {
    my $json = $self->json;
    return {} if ref $json ne 'HASH' || ref $json->{errors} ne 'ARRAY' || ref $json->{errors}[0] ne 'HASH';
    return $json->{errors}[0];
}

sub code ($self)    { return $self->_error->{code}    // '' }
sub message ($self) { return $self->_error->{message} // '' }
sub detail ($self)  { return $self->_error->{detail} }

# For messages of tests.
sub describe ($self) {
    my $headers = join '', map { "  $_: " . $self->header($_) . "\n" } sort keys %{ $self->{headers} };
    return "$self->{status}\n$headers\n  " . substr($self->{content}, 0, 1000) . "\n";
}

1;
