package Bench::Run;
use v5.36;

# One run of the benchmark: which servers there are, the rounds, what was measured.
#
#   my $run = Bench::Run->new(rounds => 3, seconds => 2);
#   $run->row('manifest-get', '32', unit => '/s', servers => \@servers, measure => sub ($server) { … });
#
# A row is measured in each round from each server, in another order each round. What is measured is
# { value, p50, p99 (milliseconds), cpu (milliseconds for one), memory (kB) }; value is needed.

use Bench;
use Bench::Servers;
use List::Util qw(max);
use Registry::Tools qw(make_certificate);
use Time::HiRes qw(time);

# Options: rounds, seconds (of one measurement), quick, large, only ({ name => 1 } of servers), against (another
# build of this program), begun, limit (seconds for all).
sub new ($class, %o) { return bless { rows => [], failed => [], notes => [], progress => -t STDERR, begun => time, %o }, $class }

# A smaller number in a quick run.
sub size ($self, $usual, $quick) { return $self->{quick} ? $quick : $usual }

# Of the kinds (ours, docker-registry, distribution3, zot, nginx) those that are installed and wanted, and those that
# are measured only if they are named. ours also stands for the build that it is compared with. Options: more (of our
# program).
sub servers ($self, $kinds, %o) {
    my %make = (
        'docker-registry' => \&peer, distribution3 => \&distribution3, zot => \&zot, nginx => \&file_nginx,
        ours => sub { ours($self->{program}, %o) },
    );
    my %named = (
        'ours-postgresql' => sub { ours_postgresql($self->{program}, 0, %o) }, 'ours-postgresql-1ms' => sub { ours_postgresql($self->{program}, 1, %o) },
        'ours-s3' => sub { ours_s3($self->{program}, %o) }, 'distribution-s3' => \&distribution_s3,
    );
    my @servers = map { $make{$_}->() } grep { !$self->{only} || $self->{only}{$_} } @$kinds;
    push @servers, map { $named{$_}->() // die "$_ is not installed\n" } grep { $self->{only} && $self->{only}{$_} } sort keys %named;
    push @servers, ours($self->{against}, %o, name => 'before') if $self->{against} && grep { $_ eq 'ours' } @$kinds;
    return grep { defined } @servers;
}

my @REGISTRIES = qw(ours docker-registry distribution3 zot);

sub registries ($self, %o) { return $self->servers(\@REGISTRIES, %o) }

sub with_nginx ($self, %o) { return $self->servers([ @REGISTRIES, 'nginx' ], %o) }

sub certificate ($self) { return $self->{certificate} //= [ make_certificate(tempdir(), 'bench') ] }

# Ends what is left over from a work.
sub stop_servers ($self) { return Bench::Server->stop_all(0) }

sub progress ($self, $text) {
    printf STDERR "\r\e[K%s", $text =~ s/^(.{0,78}).*/$1/sr if $self->{progress};
    return;
}

sub note ($self, $text) {
    push @{ $self->{notes} }, $text if !grep { $_ eq $text } @{ $self->{notes} };
    return;
}

# Seconds that are left.
sub left ($self) { return $self->{limit} - (time - $self->{begun}) }

# Options: unit; less (the smaller value is the better one); format; servers; measure; wanted ([ what, of
# whom, at least or at most ]… as in Bench::Table); rounds.
sub row ($self, $work, $name, %o) {
    my $rounds = $o{rounds} // $self->{rounds};
    my @servers = @{ $o{servers} };
    my $row = { work => $work, name => $name, map { $_ => $o{$_} } grep { exists $o{$_} } qw(unit less format wanted) };
    for my $round (0 .. $rounds - 1) {
        last if $round && $self->left < 0;
        for my $i (0 .. $#servers) {
            my $server = $servers[ ($i + $round) % @servers ];
            $self->progress(sprintf '%4d s  %s %s  round %d of %d  %s', time - $self->{begun}, $work, $name, $round + 1, $rounds, $server->{name});
            my $seen = $o{measure}->($server);
            push @{ $row->{seen}{ $server->{name} }{$_} }, $seen->{$_} for grep { defined $seen->{$_} } keys %$seen;
        }
    }
    $self->progress('');
    push @{ $self->{rows} }, $row if $row->{seen};
    return $row;
}

# A row of what was measured in another one besides: { name => { value => [ … ], … } }.
sub row_of ($self, $work, $name, $seen, %o) {
    push @{ $self->{rows} }, { work => $work, name => $name, seen => $seen, %o };
    return;
}

1;
