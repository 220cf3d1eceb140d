#!/usr/bin/perl
# Names that can be told apart in a debugger and in a stack trace; what stands in a source without being declared in a
# header is static; and nothing is dead: functions, variables, macros, fields.
use v5.36;
use FindBin;
use lib $FindBin::Bin;
use Lint;
use Test::More;

# What serves nothing yet, and why it stays.
my %stays = (
    tbl_tag_log_each => 'history and undo will read the log of tags',
    align            => 'gives a union its alignment',
);

my @sources = sources();
my %text    = map { $_ => code($_) } @sources;
my (@all, %static);
for my $file (@sources) {
    for my $d (declarations($file)) {
        push @all, { %$d, file => $file };
        $static{ $d->{name} }{$file} = 1 if $d->{static} && $d->{kind} ne 'prototype';
    }
}
my @defined = grep { $_->{kind} =~ /^(function|variable)$/ } @all;
cmp_ok(scalar(keys %static), '>', 1000, 'static functions and variables are found');

none([ map { "$_: " . join ' ', sort keys %{ $static{$_} } } grep { keys %{ $static{$_} } > 1 } sort keys %static ],
    'no two files have a static function or variable of the same name');

# These say nothing even where they stand once.
my %says_nothing = map { $_ => 1 } qw(see make_key no_memory add visit load begin take find refuse put
    fill finish answer step settle say end drop work start stop run look count check copy next keep
    rows fields names values table list data state flag value most room room_n tmp buffer stopping
    get set read write open close more use zeros number style order decoded);
none([ map { "$_: " . join ' ', sort keys %{ $static{$_} } } grep { $says_nothing{$_} } sort keys %static ],
    'and each of their names says what is done to what');

# ---- what is exported is declared in a header, and nothing else is ----

my %declared = map { $_->{name} => 1 } grep { $_->{kind} eq 'prototype' && $_->{file} =~ /\.h$/ } @all;
none([ map { "$_->{file}: $_->{name}" } grep { $_->{file} =~ /\.c$/ && !$_->{static} && $_->{name} ne 'main' && !$declared{ $_->{name} } } @defined ],
    'what no header declares is static');
none([ map { "$_->{file}: $_->{name}" } grep { $_->{kind} eq 'prototype' && $_->{file} =~ /\.c$/ && !$static{ $_->{name} }{ $_->{file} } || $_->{kind} eq 'function' && $_->{words}{extern} } @all ],
    'a source declares nothing of others: it includes their headers');

# ---- nothing is dead ----

# What a name leads to, beginning with main, with the types, and with what decides what is compiled. A function that is
# called only by dead ones, or by itself, is dead; so is one that only tests call.
my (%leads_to, %lives);
my @todo = ('main', keys %stays, map { /\w+/g } map { /^[ \t]*#[ \t]*(?:if|ifdef|ifndef|elif)\b(.*)/mg } values %text);
for my $d (@all) {
    if    ($d->{kind} eq 'type')      { push @todo, keys %{ $d->{words} } }
    elsif ($d->{kind} ne 'prototype') { push @{ $leads_to{ $d->{name} } }, keys %{ $d->{words} } }
}
while (defined(my $name = shift @todo)) {
    push @todo, @{ $leads_to{$name} // [] } if !$lives{$name}++;
}
none([ map { "$_->{file}: $_->{name}" } grep { $_->{kind} =~ /^(function|variable|macro)$/ && !$lives{ $_->{name} } } @all ],
    'main leads to each function, variable and macro');

# A field is read where its name stands behind "." or "->" and isn't assigned to, and where it is an argument of
# offsetof or of a macro. Fields of the same name are one for this.
my (%fields, %read);
for my $file (@sources) {
    my $text = $text{$file};
    while ($text =~ /\b(?:struct|union)\s*\w*\s*\{(?=((?:[^{}]++|(\{(?:[^{}]++|(?2))*\}))*)\})/g) {
        for my $field (split /;/, $1 =~ s/(\{(?:[^{}]++|(?1))*\})//gr) {
            $field =~ s/\(\s*\*(?:\s*const)?\s*(\w+)[^()]*\)/$1/g;
            $field =~ s/(\((?:[^()]|(?1))*\))|\[[^]]*\]|:\s*\w+//g;
            push @{ $fields{$_} }, $file for map { /(\w+)\s*$/ } split /,/, $field;
        }
    }
    $read{$_} = 1 for $text =~ /(?:\.|->)\s*(\w+)\b(?!\s*(?:\[[^]=]*\]\s*)*=[^=])/g;
    $read{$_} = 1 for map { /\w+/g } $text =~ /\b(?:offsetof|[A-Z][A-Z0-9_]+)\s*\(([^()]*)\)/g;
}
cmp_ok(scalar(keys %fields), '>', 500, 'fields are found');
none([ map { "$_: @{ $fields{$_} }" } grep { !$read{$_} && !$stays{$_} } sort keys %fields ], '... and each is read');
done_testing();
