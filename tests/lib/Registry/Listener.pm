package Registry::Listener;
use v5.36;

# Somebody who listens to GET /v1/events: as many as a test wants, read all together.

use Errno qw(EAGAIN EINTR);
use IO::Select ();
use JSON::PP   ();
use Time::HiRes qw(time);

# Options: query ("?type=tag"), headers. The request is sent; nothing is read yet.
sub open ($class, $registry, %o) {
    my $connection = $registry->connect // return undef;
    my $self       = bless { connection => $connection, raw => '', head => undef, body => '', at => 0, over => 0, seen => [] }, $class;
    $connection->send($registry->head_of('GET', '/v1/events' . ($o{query} // ''), headers => $o{headers}));
    return $self;
}

# Reads from all of them until the condition holds for each, or the limit (seconds) has passed: then undef.
sub wait_all ($class, $limit, $condition, @listeners) {
    my $end = time + $limit;
    while (grep { !$condition->($_) } @listeners) {
        return undef if time >= $end;
        my %of     = map { fileno($_->{connection}{socket}) => $_ } grep { !$_->{over} } @listeners;
        my $select = IO::Select->new(map { $_->{connection}{socket} } grep { !$_->{over} } @listeners);
        for my $socket ($select->can_read(0.2)) { $of{ fileno $socket }->_read }
        select undef, undef, undef, 0.02 if !%of;
    }
    return 1;
}

sub wait ($self, $limit, $condition) { return Registry::Listener->wait_all($limit, $condition, $self) }

sub _read ($self) {
    my $n = sysread $self->{connection}{socket}, my $bytes, 1 << 16;
    return if !defined $n && ($! == EAGAIN || $! == EINTR);
    if (!$n) { $self->{over} = 1; return }
    $self->{raw} .= $bytes;
    if (!defined $self->{head}) {
        return if $self->{raw} !~ s/^(.*?\r\n)\r\n//s;
        $self->{head} = $1;
    }
    if ($self->{head} !~ /^Transfer-Encoding: chunked\r$/mi) {
        $self->{body} .= $self->{raw};
        $self->{raw} = '';
        return;
    }
    while ($self->{raw} =~ /^([0-9a-fA-F]+)\r\n/) {
        my ($skip, $size) = (length($1) + 2, hex $1);
        last if length $self->{raw} < $skip + $size + 2;
        $self->{body} .= substr $self->{raw}, $skip, $size;
        $self->{finished} = 1 if $size == 0;
        substr $self->{raw}, 0, $skip + $size + 2, '';
    }
}

sub status ($self) { return defined $self->{head} && $self->{head} =~ m{^HTTP/1\.1 (\d+)} ? $1 : 0 }

sub header ($self, $name) { return ($self->{head} // '') =~ /^\Q$name\E: ([^\r]*)\r$/mi ? $1 : undef }

sub body ($self) { return $self->{body} }
sub over ($self) { return $self->{over} || $self->{finished} }

# The events that came whole: of lines, or of an event stream's data.
sub events ($self) {
    while ((my $end = index $self->{body}, "\n", $self->{at}) >= 0) {
        my $line = substr($self->{body}, $self->{at}, $end - $self->{at}) =~ s/^data: //r;
        $self->{at} = $end + 1;
        push @{ $self->{seen} }, JSON::PP->new->decode($line) if $line =~ /^\{/;
    }
    return @{ $self->{seen} };
}

sub seqs ($self) { return map { $_->{seq} } $self->events }

sub close ($self) { $self->{connection}->close; $self->{over} = 1; return }

1;
