package Registry::Connection;
use v5.36;

# One TCP connection that speaks HTTP/1.1, byte by byte where a test wants that: the path as it is
# given, half a body, an answer that comes before the body's end. HTTP::Tiny does none of these.

use Errno qw(EAGAIN EINTR);
use IO::Select ();
use IO::Socket::INET ();
use IO::Socket::IP ();
use Registry::Response ();
use Socket qw(IPPROTO_TCP TCP_NODELAY);
use Time::HiRes qw(time);

sub open ($class, $host, $port, $timeout = 30) {
    my $self = bless { host => $host, port => $port, timeout => $timeout }, $class;
    return $self->_connect ? $self : undef;
}

sub _connect ($self) {
    my $family = $self->{host} =~ /:/ ? 'IO::Socket::IP' : 'IO::Socket::INET';
    my $socket = $family->new(PeerHost => $self->{host}, PeerPort => $self->{port}, Timeout => 5)
        or return 0;
    $socket->blocking(0);
    $socket->setsockopt(IPPROTO_TCP, TCP_NODELAY, 1);
    @$self{qw(socket seen over)} = ($socket, '', 0);
    return 1;
}

sub close ($self) {
    $self->{socket}->close if $self->{socket};
    $self->{socket} = undef;
    return;
}

# Sends all, unless the other side answers or hangs up first: true when all is sent. After an answer that
# said "Connection: close", on a new connection.
sub send ($self, $bytes) {
    local $SIG{PIPE} = 'IGNORE';
    return 0 if $self->{over} && !$self->_connect;
    my $socket = $self->{socket};
    my $end    = time + $self->{timeout};
    my $at     = 0;
    while ($at < length $bytes) {
        my ($readable, $writable) =
            IO::Select->select(IO::Select->new($socket), IO::Select->new($socket), undef, $end - time);
        return 0 if !$writable || @$readable;
        my $n = syswrite $socket, $bytes, 1 << 18, $at;
        next     if !defined $n && ($! == EAGAIN || $! == EINTR);
        return 0 if !defined $n;
        $at += $n;
    }
    return 1;
}

# One piece of a chunked body; the empty one ends it.
sub send_chunk ($self, $bytes) { return $self->send(sprintf("%x\r\n", length $bytes) . "$bytes\r\n") }

# Is there something to read (an answer, or the end) within so many seconds?
sub answers_within ($self, $seconds) {
    return 1 if length $self->{seen};
    return scalar IO::Select->new($self->{socket})->can_read($seconds);
}

# More bytes into {seen}: true; '' at the end of the connection, undef after the time limit.
sub _more ($self) {
    my $end = $self->{end};
    while (1) {
        my $left = $end - time;
        return undef if $left <= 0 || !IO::Select->new($self->{socket})->can_read($left);
        my $n = sysread $self->{socket}, $self->{seen}, 1 << 18, length $self->{seen};
        next      if !defined $n && ($! == EAGAIN || $! == EINTR);
        return '' if !$n;
        return 1;
    }
}

# The next answer: 100 Continue ones are counted and skipped (once => 1: returned). body => sub:
# gets the bytes as they come, instead of ->content. head => 1: no body is read. Never dies: what goes
# wrong is status 599.
sub response ($self, $method = 'GET', %o) {
    $self->{end} = time + $self->{timeout};
    my $response = eval { $self->_response($method, %o) };
    return $response if $response;
    return Registry::Response->failed($@ =~ s/ at \S+ line \d+\.\n$//r);
}

sub _need ($self, $what) {
    my $more = $self->_more;
    die "time-out $what\n"                 if !defined $more;
    die "connection closed $what\n"        if !$more;
    return;
}

sub _line ($self) {
    $self->_need('in the middle of a line') while $self->{seen} !~ /\n/;
    $self->{seen} =~ s/^(.*?)\r?\n//s;
    return $1;
}

sub _take ($self, $n, $sink) {
    while ($n > 0) {
        $self->_need('in the middle of a body') if !length $self->{seen};
        my $piece = substr $self->{seen}, 0, $n, '';
        $n -= length $piece;
        $sink->($piece);
    }
    return;
}

sub _response ($self, $method, %o) {
    my $continued = 0;
    my $response;
    while (1) {
        $self->_need('before an answer') while $self->{seen} !~ /\r?\n\r?\n/;
        $self->{seen} =~ s/^(.*?\r?\n)\r?\n//s;
        $response = Registry::Response->parse($1) // die "no HTTP answer: $1\n";
        last if $response->status >= 200 || $o{once};
        $continued++;
    }
    $response->{continued} = $continued;
    $self->{over} = ($response->header('Connection') // '') =~ /close/i;
    my $status = $response->status;
    return $response if $method eq 'HEAD' || $o{head} || $status < 200 || $status == 204 || $status == 304;

    my $content = '';
    my $sink    = $o{body} // sub ($piece) { $content .= $piece };
    if (($response->header('Transfer-Encoding') // '') =~ /chunked/i) {
        while ((my $n = hex($self->_line =~ s/;.*//r)) > 0) {
            $self->_take($n, $sink);
            $self->_line;
        }
        $self->_line;
    } elsif (defined(my $n = $response->header('Content-Length'))) {
        $self->_take($n, $sink);
    } else {
        while (1) {
            $sink->(substr $self->{seen}, 0, length $self->{seen}, '');
            my $more = $self->_more;
            die "time-out before the end\n" if !defined $more;
            last if !$more;
        }
    }
    $response->{content} = $content;
    return $response;
}

1;
