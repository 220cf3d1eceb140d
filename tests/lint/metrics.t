#!/usr/bin/perl
# The table of metrics against its manual page: each metric has its paragraph, with its labels and its type, and no other has.
# The labels that are enums elsewhere have the same names there.
use v5.36;
use FindBin;
use lib $FindBin::Bin;
use JSON::PP ();
use Lint;
use Test::More;

my $table = slurp('src/domain/metrics/metrics_table.c');
my ($rows) = $table =~ /metrics_table\[METRIC_COUNT\] = \{\n(.*?)^\};/ms;
my %metrics;
my $n = 0;
for my $row (split /(?=^    \[METRIC_)/m, $rows // '') {
    next if $row !~ /^    \[METRIC_/;
    $n++;
    my ($name, $type) = $row =~ /=\s+\{"(\w+)",\s+(?:METRICS_)?(COUNTER|GAUGE|HISTOGRAM)/ or die "not understood: $row";
    my @labels = $row =~ /\{+"(\w+)", (?:NULL|POOLS|HOOKS|")/g;
    $metrics{ "registry_$name" . (@labels ? '{' . join(',', @labels) . '}' : '') } = ucfirst lc $type;
}
cmp_ok($n, '>', 20, 'there are metrics');
is($n, scalar(() = slurp('src/domain/metrics/metrics_table.h') =~ /^    METRIC_(?!COUNTED,|TOLD,|COUNT,)\w+(?: = \w+)?,$/mg), 'each number has a row');

my ($manual) = slurp('src/man/docker-registry-server-metrics.7') =~ /^\.SH METRICS\n(.*?)^\.SH /ms;
my %told = ($manual // '') =~ /^\.TP\n\.B (registry_\S+)\n(\w+)[.,]/mg;
is_deeply(\%told, \%metrics, 'the manual tells of each metric, with its labels and its type');

none([ grep { !/_total(?:\{|$)/ } grep { $metrics{$_} eq 'Counter' } sort keys %metrics ], 'counters end with _total');
none([ grep { /_total(?:\{|$)/ } grep { $metrics{$_} ne 'Counter' } sort keys %metrics ], '... and others do not');

my ($pools) = $table =~ /#define POOLS "(.*?)"/;
is($pools, join(' ', map { s/^\s*\[POOL_\w+\] = \{"(\w+)".*/$1/r } grep { /^\s*\[POOL_/ } split /\n/, slurp('src/process/server/pools.c')), 'the pools are those of pools.c');
my ($hooks) = $table =~ /#define HOOKS "(.*?)"/;
my ($enum)  = slurp('src/domain/events/hook.h') =~ /^enum hook \{\n(.*?)^\};/ms;
my @names   = grep { $_ ne 'count' } map { lc s/_/-/gr } $enum =~ /^\s*HOOK_(\w+),/mg;
is($hooks, join(' ', @names, 'unknown'), 'the hooks are those of hook.h');
is(slurp('src/domain/metrics/metrics_table.h') =~ /#define METRICS_HOOK_UNKNOWN (\d+)/ ? $1 : '', scalar @names, '... and the last one has its number');

# ---- the dashboard ----

my $dashboard = JSON::PP::decode_json(slurp('contrib/grafana/docker-registry-server.json'));
my %labels    = map { my ($name, $labels) = /^(\w+)(?:\{(.*)\})?$/; $name => [ split /,/, $labels // '' ] } keys %metrics;
my %type      = map { /^(\w+)/; $1 => $metrics{$_} } keys %metrics;
my (%shown, @wrong);
for my $panel (@{ $dashboard->{panels} }) {
    for my $query (map { $_->{expr} } @{ $panel->{targets} // [] }) {
        my %here;
        while ($query =~ /\b(registry_\w+)(\{[^}]*\})?/g) {
            my ($name, $selector) = ($1, $2 // '');
            my $metric = $name =~ s/_(?:bucket|sum|count)$//r;
            $metric = $name if ($type{$metric} // '') ne 'Histogram';
            push @wrong, "$name: there is no such metric" if !$type{$metric};
            push @wrong, "$name is a histogram" if ($type{$metric} // '') eq 'Histogram' && $name eq $metric;
            push @wrong, "$name: not of the chosen registry" if $selector !~ /job="\$job",instance="\$instance"/;
            $here{$_} = 1 for @{ $labels{$metric} // [] }, $name =~ /_bucket$/ ? 'le' : ();
            push @wrong, "$name: no label $_" for grep { !/^(?:job|instance)$/ && !$here{$_} } $selector =~ /(\w+)=/g;
            push @wrong, "$name: a counter has to be a rate" if ($type{$metric} // '') eq 'Counter' && $query !~ /(?:rate|increase)\(\Q$name\E/;
            $shown{$metric} = 1;
        }
        push @wrong, "$query: no label $_" for grep { !$here{$_} } map { split /, */ } $query =~ /\bby \(([^)]*)\)/g;
        push @wrong, "$query: brackets" if ($query =~ tr/(//) != ($query =~ tr/)//);
    }
    my %of = map { $_ => 1 } map { @{ $labels{$_} // [] } } map { $_->{expr} =~ /\b(registry_\w+?)(?:_bucket|_sum|_count)?\b/g } @{ $panel->{targets} // [] };
    push @wrong, "$panel->{title}: no label $_" for grep { !$of{$_} } map { $_->{legendFormat} =~ /\{\{(\w+)\}\}/g } @{ $panel->{targets} // [] };
}
none(\@wrong, 'the queries of the dashboard fit the table');
none([ grep { !$shown{$_} } sort keys %type ], '... and it shows each metric');
done_testing();
