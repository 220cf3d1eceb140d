package Bench::Table;
use v5.36;

# What a run has measured, as a table for people and as JSON for another run.

use Bench;
use Exporter 'import';
use JSON::PP ();
use List::Util qw(max);
use Registry::Tools qw(slurp spew);

our @EXPORT_OK = qw(table verdicts write_json comparison);

# Three digits that count, and no more.
sub _short ($n) {
    return '-' if !defined $n;
    return sprintf $n >= 100 ? '%.0f' : $n >= 10 ? '%.1f' : $n >= 1 ? '%.2f' : '%.3f', $n;
}

sub _order ($row) {
    my %place = (ours => 0, before => 1, nginx => 8, disk => 9);
    return sort { ($place{$a} // 5) <=> ($place{$b} // 5) || $a cmp $b } keys %{ $row->{seen} };
}

# Ours divided by another's, the median over the rounds.
sub _ratio ($row, $name, $what = 'value') {
    my ($ours, $theirs) = map { $row->{seen}{$_}{$what} } 'ours', $name;
    return $ours && $theirs ? ratio($ours, $theirs) : undef;
}

# Lines of text.
sub table ($rows) {
    my @lines = (sprintf '%-34s %-16s %9s %7s %9s %9s %8s %7s', 'work', 'server', 'median', 'ours/it', 'p50 ms', 'p99 ms', 'CPU ms', 'MB');
    for my $row (@$rows) {
        my $title = "$row->{work} $row->{name}";
        for my $name (_order($row)) {
            my $seen = $row->{seen}{$name};
            push @lines, sprintf '%-34s %-16s %9s %7s %9s %9s %8s %7s', $title, $name, _short(median(@{ $seen->{value} })),
                $name eq 'ours' ? '' : _short(_ratio($row, $name)), (map { _short(median(@{ $seen->{$_} // [] })) } qw(p50 p99 cpu)),
                megabytes(max(@{ $seen->{memory} // [] }));
            $title = "  $row->{unit}" . ($row->{less} ? ', less is better' : '');
        }
    }
    return map { s/\s+$//r } @lines;
}

# The value that a bound is about, in words, and whether it holds; undef when it wasn't measured. A bound is
# [ what, of whom, number ]: what is rate (at least so many times theirs), time (at most), p99, cpu or memory (at
# most, of the whole stack, in MB); of whom: a server, "best" of the peers, or "" for a number itself.
sub _bound ($row, $what, $whom, $number) {
    my $of    = { rate => 'value', time => 'value' }->{$what} // $what;
    my $least = $what eq 'rate';
    my @names = $whom eq 'best' ? grep { !/^(ours.*|before|nginx|disk)$/ } keys %{ $row->{seen} } : $whom;
    my @own   = @{ $row->{seen}{ours}{$of} // [] };
    my @seen  = $whom eq '' ? ($of eq 'memory' ? max(@own) : median(@own)) : map { _ratio($row, $_, $of) } @names;
    my ($seen) = sort { $least ? $a <=> $b : $b <=> $a } grep { defined } @seen or return undef;
    $seen /= 1024 if $of eq 'memory' && $whom eq '';
    my $holds = $least ? $seen >= $number : $seen <= $number;
    return { holds => $holds, text => sprintf '%-7s %-34s %s %s, wanted %s %s', $holds ? 'holds' : 'MISSED', "$row->{work} $row->{name}",
        $whom eq '' ? { cpu => 'CPU ms', memory => 'MB' }->{$what} // $row->{unit} : "$what / $whom", _short($seen), $least ? '>=' : '<=', $number };
}

# What must hold, line by line.
sub verdicts ($rows) {
    return map { $_->{text} } map { my $row = $_; map { _bound($row, @$_) // () } @{ $row->{wanted} // [] } } @$rows;
}

sub write_json ($file, $rows, %about) {
    spew($file, JSON::PP->new->canonical->pretty->encode({ %about, rows => [ map { my %r = %$_; delete $r{wanted}; \%r } @$rows ] }));
    return;
}

# Ours of this run beside ours of an earlier one.
sub comparison ($rows, $file) {
    my $old = eval { JSON::PP->new->decode(slurp($file)) } // die "$file: not what --json writes\n";
    my %old = map { ("$_->{work} $_->{name}" => $_->{seen}{ours}) } @{ $old->{rows} };
    my @lines = (sprintf '%-34s %9s %9s %8s %8s', 'ours', 'before', 'now', 'ratio', 'CPU');
    for my $row (@$rows) {
        my $key  = "$row->{work} $row->{name}";
        my $then = $old{$key} // next;
        my $now  = $row->{seen}{ours} // next;
        my %m    = map { $_ => [ map { median(@$_) } grep { defined } $then->{$_}, $now->{$_} ] } qw(value cpu);
        push @lines, sprintf '%-34s %9s %9s %8s %8s', $key, (map { _short($_) } @{ $m{value} }),
            map { my ($a, $b) = @{ $m{$_} }; _short($a && defined $b ? $b / $a : undef) } qw(value cpu);
    }
    return @lines;
}

1;
